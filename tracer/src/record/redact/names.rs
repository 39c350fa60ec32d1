//! Names whose values are secrets, and values that are secrets by their shape. Pure.

/// Parts of such names; compared without case and without what is no letter or digit.
const SECRET_NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "bearer",
    "cookie",
    "signature",
];
/// The same as the last word of a name: `DB_PASS`, `auth.pw`.
const LAST_WORDS: [&str; 4] = ["pass", "pw", "pwd", "auth"];
/// What tokens of well-known issuers start with.
const TOKEN_STARTS: [&str; 12] =
    ["eyJ", "AKIA", "ASIA", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk-", "AIza"];
/// A token is at least this long.
const TOKEN_LEN: usize = 16;
/// Text without a space of at least this length, of upper case, lower case and digits, is random.
const RANDOM_LEN: usize = 40;

/// Whether the value of something called so is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let bare: String = name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    SECRET_NAMES.iter().any(|secret| bare.contains(secret))
        || LAST_WORDS.contains(&last_word(name).to_lowercase().as_str())
        || is_key_of_environment(name)
}

/// The same of a header: what `X-Something-Key` has is one, too.
pub(super) fn is_secret_header(name: &str) -> bool {
    is_secret(name) || last_word(name).eq_ignore_ascii_case("key")
}

/// `STRIPE_KEY`; `--sort-key` is no secret.
fn is_key_of_environment(name: &str) -> bool {
    let start = name.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    let name = name.get(start..).unwrap_or_default();
    name.ends_with("_KEY") && !name.contains(|c: char| c.is_ascii_lowercase())
}

fn last_word(name: &str) -> &str {
    let name = name.trim_end_matches(|c: char| !c.is_alphanumeric());
    name.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or(name)
}

/// Whether a value is a secret, whatever it is called.
pub(super) fn looks_secret(value: &str) -> bool {
    if value.starts_with("-----BEGIN") {
        return true;
    }
    if value.len() >= TOKEN_LEN && TOKEN_STARTS.iter().any(|start| value.starts_with(start)) {
        return true;
    }
    let of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | '=');
    value.len() >= RANDOM_LEN
        && value.chars().all(of_token)
        && value.contains(|c: char| c.is_ascii_uppercase())
        && value.contains(|c: char| c.is_ascii_lowercase())
        && value.contains(|c: char| c.is_ascii_digit())
}

use proptest::prelude::*;

use super::*;

fn shown(argv: &[&str]) -> Vec<String> {
    redact(&argv.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
}

/// The last argument.
fn last(argv: &[&str]) -> String {
    shown(argv).pop().unwrap()
}

#[test]
fn values_of_secret_names_are_redacted() {
    assert_eq!(
        shown(&["x", "--password=hunter2", "PGPASSWORD=a"]),
        ["x", "--password=[redacted]", "PGPASSWORD=[redacted]"]
    );
    assert_eq!(shown(&["x", "--api-key", "k1", "-v"]), ["x", "--api-key", "[redacted]", "-v"]);
    assert_eq!(shown(&["x", "--token", "--verbose"]), ["x", "--token", "--verbose"]);
    assert_eq!(
        shown(&["x", "AWS_SECRET_ACCESS_KEY=a/b", "--pass", "p", "STRIPE_KEY=k", "DB_PASS=p"])[1..],
        [
            "AWS_SECRET_ACCESS_KEY=[redacted]",
            "--pass",
            "[redacted]",
            "STRIPE_KEY=[redacted]",
            "DB_PASS=[redacted]"
        ]
    );
}

#[test]
fn a_name_behind_a_name_counts() {
    assert_eq!(last(&["docker", "run", "--env=PASSWORD=x"]), "--env=PASSWORD=[redacted]");
    assert_eq!(last(&["docker", "run", "-e", "PASSWORD=x"]), "PASSWORD=[redacted]");
    assert_eq!(last(&["docker", "run", "-ePASSWORD=x"]), "-ePASSWORD=[redacted]");
    assert_eq!(last(&["helm", "--set", "a=1,auth.password=x,y"]), "a=1,auth.password=[redacted]");
    assert_eq!(last(&["helm", "--set=db.pass=x"]), "--set=db.pass=[redacted]");
    assert_eq!(last(&["docker", "run", "--env=HOME=/root"]), "--env=HOME=/root");
}

#[test]
fn literals_of_kubectl_are_redacted() {
    let create = ["kubectl", "create", "secret", "generic", "s"];
    let last = |more: &[&str]| last(&[&create[..], more].concat());
    assert_eq!(last(&["--from-literal=password=x"]), "--from-literal=password=[redacted]");
    assert_eq!(last(&["--from-literal=user=x"]), "--from-literal=user=[redacted]");
    assert_eq!(last(&["--from-literal", "user=x"]), "user=[redacted]");
    assert_eq!(last(&["--from-file=key=/tmp/f"]), "--from-file=key=/tmp/f");
}

#[test]
fn bodies_lose_their_secret_fields() {
    for flag in ["-d", "--data", "--data-raw", "--data-binary", "--data-urlencode", "-F", "--form"] {
        assert_eq!(last(&["curl", flag, "user=me&password=a b&x=1"]), "user=me&password=[redacted]&x=1");
    }
    assert_eq!(last(&["curl", "--data=user=me&token=t"]), "--data=user=me&token=[redacted]");
    assert_eq!(last(&["curl", "-duser=me&token=t"]), "-duser=me&token=[redacted]");
    assert_eq!(
        last(&["curl", "-d", r#"{"user": "me", "password": "a, b"}"#]),
        r#"{"user": "me", "password": "[redacted]"}"#
    );
    assert_eq!(last(&["curl", r#"--json={"token":"t","n":1}"#]), r#"--json={"token":"[redacted]","n":1}"#);
    assert_eq!(last(&["curl", "-d", r#"{"q":"a=b","n":[1,2]}"#]), r#"{"q":"a=b","n":[1,2]}"#);
    assert_eq!(last(&["curl", "-d", "@/tmp/body.json"]), "@/tmp/body.json");
    assert_eq!(last(&["wget", "--post-data=user=me&pw=x"]), "--post-data=user=me&pw=[redacted]");
}

#[test]
fn headers_lose_their_secrets() {
    for header in ["Authorization: Bearer abc", "X-Api-Key: x", "X-Vault-Token:x", "Ocp-Subscription-Key: x"]
    {
        let name = header.split(':').next().unwrap();
        assert_eq!(last(&["curl", "-H", header]), format!("{name}: [redacted]"));
        assert_eq!(last(&["curl", &format!("--header={header}")]), format!("--header={name}: [redacted]"));
        assert_eq!(last(&["curl", &format!("-H{header}")]), format!("-H{name}: [redacted]"));
    }
    for header in ["Accept: application/json", "Content-Type:text/plain", "X-Request-Id: 7"] {
        assert_eq!(last(&["curl", "-H", header]), header);
    }
    assert_eq!(last(&["docker", "pull", "token-helper:1.0"]), "token-helper:1.0");
}

#[test]
fn addresses_lose_their_secrets() {
    for (address, shown) in [
        ("https://u:p@h/x?y@z", "https://u:[redacted]@h/x?y@z"),
        ("postgres://u:p@h:5432/d", "postgres://u:[redacted]@h:5432/d"),
        ("https://u@h/x", "https://u@h/x"),
        ("https://h/x?a=1&token=t&b=2", "https://h/x?a=1&token=[redacted]&b=2"),
        ("https://h/#access_token=t&b=2", "https://h/#access_token=[redacted]&b=2"),
        (
            "DATABASE_URL=postgres://u:p@h/d?sslmode=off",
            "DATABASE_URL=postgres://u:[redacted]@h/d?sslmode=off",
        ),
        ("--url=https://h/?sig=1&api_key=k", "--url=https://h/?sig=1&api_key=[redacted]"),
        ("https://h/a=b?c=d", "https://h/a=b?c=d"),
    ] {
        assert_eq!(last(&["curl", address]), shown);
    }
    assert_eq!(last(&["curl", "-u", "me:p:w"]), "me:[redacted]");
    assert_eq!(last(&["docker", "run", "-u", "1000:1000"]), "1000:1000");
}

#[test]
fn scripts_are_read_word_by_word() {
    let of = |script: &str| last(&["sh", "-c", script]);
    assert_eq!(
        of("export PASSWORD=a; mysql -psecret -u root && curl -H 'Authorization: Bearer abc' https://u:p@h"),
        "export PASSWORD=[redacted] mysql -p[redacted] -u root && curl -H 'Authorization: Bearer [redacted]' \
         https://u:[redacted]@h"
    );
    assert_eq!(of("PASSWORD='a b c' ls -la"), "PASSWORD=[redacted] ls -la");
    assert_eq!(of("curl -H \"X-Api-Key: a b\" host"), "curl -H \"X-Api-Key: [redacted]\" host");
    assert_eq!(of("curl -d 'a=1&password=x y' host"), "curl -d 'a=1&password=[redacted]' host");
    assert_eq!(
        of(r#"curl -d '{"user": "me", "password": "x y"}' host"#),
        r#"curl -d '{"user": "me", "password": "[redacted]"}' host"#
    );
    assert_eq!(
        of(r#"sh -c "curl -H 'X-Api-Key: a b' host && ls" && id"#),
        r#"sh -c "curl -H 'X-Api-Key: [redacted]' host && ls" && id"#
    );
    assert_eq!(of("echo don't; PASSWORD='a b' ls"), "echo don't; PASSWORD=[redacted] ls");
    assert_eq!(of("redis-cli -a hunter2 ping"), "redis-cli -a [redacted] ping");
}

#[test]
fn tokens_are_known_by_their_shape() {
    let random = "q7Zk2mXv9LpR4sTn8WbY1cDf6GhJ3kMa5NxQ0eUi";
    for token in ["eyJhbGciOiJIUzI1NiJ9.e30.x", "ghp_0123456789abcdefghij", random, "-----BEGIN"] {
        assert_eq!(shown(&["x", token]), ["x", "[redacted]"], "{token}");
    }
}

#[test]
fn arguments_without_secrets_are_shown() {
    let argv = [
        "/usr/bin/grep",
        "-r",
        "--include=*.rs",
        "/var/log/pods",
        "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a796857463524",
        "-p",
        "8080",
        "https://host/path",
        "x@y",
        "key=value",
        "--sort-key=name",
        "-d",
        ",",
        "--from-file=app.conf=/etc/app.conf",
        "it's a plain \"text\" with quotes",
    ];
    assert_eq!(shown(&argv), argv);
    assert_eq!(Argv::Off.show(&["ls".into()]), None);
    assert_eq!(Argv::Full.show(&["--token=x".into()]), Some(vec!["--token=x".into()]));
}

/// Ways to hand over a secret, each as one argument or two.
fn with_secret(secret: &str) -> Vec<Vec<String>> {
    let one = |text: String| vec![text];
    vec![
        one(format!("--password={secret}")),
        vec!["--token".into(), secret.into()],
        one(format!("A_SECRET={secret}")),
        one(format!("--env=PASSWORD={secret}")),
        one(format!("--from-literal=x={secret}")),
        vec!["-H".into(), format!("X-Api-Key: {secret}")],
        one(format!("--header=Authorization: Bearer {secret}")),
        vec!["-d".into(), format!("a=1&password={secret}&b=2")],
        vec!["-d".into(), format!(r#"{{"a": 1, "password": "{secret}"}}"#)],
        one(format!("https://u:{secret}@host/")),
        one(format!("https://host/?token={secret}&b=2")),
        one(format!("export PASSWORD={secret}; ls")),
        one(format!("curl -H 'X-Api-Key: {secret}' -d \"password={secret}\" host")),
        one(format!("curl -d '{{\"token\": \"{secret}\"}}' host")),
        one(format!("PASSWORD='{secret} {secret}' \"X-Api-Key: {secret} {secret}\" ls")),
    ]
}

proptest! {
    #[test]
    fn a_named_secret_never_shows(secret in "[a-z0-9]{12,30}", other in "[ -~]{0,30}") {
        for argv in with_secret(&secret) {
            // An option before it may say that it is something else.
            let mut all = vec!["x".to_owned(), other.replace(&secret, "").replace('-', "")];
            all.extend(argv);
            prop_assert!(!redact(&all).concat().contains(&secret), "{all:?} -> {:?}", redact(&all));
        }
    }

    #[test]
    fn nothing_of_a_secret_shows_whatever_it_is_made_of(secret in "[!-~]{1,40}") {
        prop_assume!(!secret.starts_with("--") && !secret.starts_with(REDACTED));
        for argv in [["--password".to_owned(), secret.clone()], ["-x".into(), format!("--password={secret}")]] {
            let all = [&["x".to_owned()][..], &argv].concat();
            let shown = redact(&all).pop().unwrap();
            prop_assert!(shown == REDACTED || shown == "--password=[redacted]", "{all:?} -> {shown}");
        }
    }

    #[test]
    fn redacted_once_is_redacted(argv in prop::collection::vec(text(), 0..6)) {
        let once = redact(&argv);
        prop_assert_eq!(redact(&once), once);
    }

    #[test]
    fn every_argument_stays_one(argv in prop::collection::vec("\\PC{0,40}", 0..6)) {
        prop_assert_eq!(redact(&argv).len(), argv.len());
    }
}

/// Of what redaction looks at.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "password",
            "--token",
            "-H",
            "-d",
            "-p",
            "mysql",
            "curl",
            "-u",
            "X-Api-Key:",
            "Authorization:",
            "Bearer",
            "=",
            ":",
            "&",
            "?",
            " ",
            " ",
            "'",
            "\"",
            "\\\"",
            "{",
            "}",
            "[",
            "]",
            ",",
            "https://",
            "@",
            "[redacted]",
            "--from-literal",
            "a",
            "b",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

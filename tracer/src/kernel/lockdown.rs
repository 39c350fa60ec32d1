//! The kernel's lockdown (kernel_lockdown(7)): with `confidentiality`, no program may read the kernel's memory.

use std::fs;

/// Where the mode is shown; in a container, whose /sys lacks what is mounted below the node's, as the node's
/// init sees it.
const PLACES: [&str; 2] = ["/sys/kernel/security/lockdown", "/proc/1/root/sys/kernel/security/lockdown"];

/// Whether a mode is in force by which programs may not read the kernel's memory.
pub(super) fn forbids_reading() -> bool {
    PLACES
        .iter()
        .find_map(|place| fs::read_to_string(place).ok())
        .is_some_and(|text| is_confidentiality(&text))
}

/// The mode in force stands in brackets: `none integrity [confidentiality]`.
fn is_confidentiality(text: &str) -> bool {
    text.split_whitespace().any(|mode| mode == "[confidentiality]")
}

#[cfg(test)]
mod tests {
    use super::is_confidentiality;

    #[test]
    fn the_mode_in_brackets_is_in_force() {
        assert!(is_confidentiality("none integrity [confidentiality]\n"));
        for other in ["none [integrity] confidentiality\n", "[none] integrity confidentiality\n", ""] {
            assert!(!is_confidentiality(other), "{other:?}");
        }
    }
}

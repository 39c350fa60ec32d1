//! The path of an executable from the names that the kernel side collected. Pure.

use debugtrail_common::exe::ending;

/// What stands in a path in place of the directories that there was no room for.
const CUT_OFF: &str = "[...]";

/// The path, of names from the file up to the root, each with a NUL. `None` where there is none. As in `/proc/PID/exe`, a
/// file of no mounted file system has its name alone behind a slash, such as `/memfd:name`.
#[must_use]
pub fn path(names: &[u8], how: u32) -> Option<String> {
    let names = names.strip_suffix(b"\0").unwrap_or(names);
    if names.is_empty() {
        return None;
    }
    let mut path = String::new();
    if how == ending::TOO_LONG {
        path.push_str(CUT_OFF);
    }
    for name in names.split(|byte| *byte == 0).rev() {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(name));
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_from_the_file_up_to_the_root() {
        assert_eq!(path(b"busybox\0bin\0", ending::ROOT).as_deref(), Some("/bin/busybox"));
        assert_eq!(path(b"init\0", ending::ROOT).as_deref(), Some("/init"));
        assert_eq!(path(b"memfd:x\0", ending::ELSEWHERE).as_deref(), Some("/memfd:x"));
    }

    #[test]
    fn a_path_that_was_cut_off_says_so() {
        assert_eq!(path(b"c\0b\0", ending::TOO_LONG).as_deref(), Some("[...]/b/c"));
    }

    #[test]
    fn an_empty_path_is_none_and_odd_bytes_are_kept() {
        assert_eq!(path(b"", ending::ROOT), None);
        assert_eq!(path(b"\xffx\0", ending::ROOT).as_deref(), Some("/\u{fffd}x"));
    }
}

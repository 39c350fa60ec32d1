//! A bad command line, and bad files named there.

use super::run::{Ended, Place, text};

#[test]
fn an_unknown_option_is_wrong_usage() {
    let ended = Ended::of(Place::new().debugtrail(&["trace", "--no-such-option"]));
    assert_eq!(ended.code, Some(2), "{ended:#?}");
}

#[test]
fn a_convention_is_refused_by_its_first_bad_line() {
    let place = Place::new();
    let refused = |content: &[u8], parts: &[&str]| {
        let path = place.file("codes", content);
        let ended = Ended::of(place.debugtrail(&["trace", "--exit-codes", text(&path)]));
        ended.complains(2, &[&[text(&path)], parts].concat());
    };
    refused(b"# ours\n42 pool-exhausted warning\n300 much error\n", &["line 3", "`300` is no exit code"]);
    refused(b"42 a\n42 b\n", &["line 2", "there twice"]);
    refused(b"42 a loud\n", &["line 1", "`loud` is no severity"]);
    refused(b"42 a\n43 \xff\n", &["line 2", "UTF-8"]);
}

#[test]
fn a_convention_that_cannot_be_read_is_refused() {
    let place = Place::new();
    for (path, why) in [("/nowhere/codes", "No such file"), ("/", "directory"), ("/dev/zero", "larger than")]
    {
        Ended::of(place.debugtrail(&["trace", "--exit-codes", path])).complains(2, &[path, why]);
    }
}

#[test]
fn the_help_lists_the_exit_codes() {
    let ended = Ended::of(Place::new().debugtrail(&["--help"]));
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("Exit codes:\n  0  done"), "{}", ended.stdout);
}

#[test]
fn a_convention_from_windows_is_read() {
    let place = Place::new();
    let path = place.file("codes", b"\xef\xbb\xbf42 pool-exhausted\r\n");
    // It gets as far as the API server, which is away.
    Ended::of(place.debugtrail(&["trace", "--exit-codes", text(&path)])).complains(5, &["API server"]);
}

#[test]
fn hidden_characters_of_a_file_are_shown() {
    let place = Place::new();
    let path = place.file("codes", "42 a\n4\u{202e}3 b\n");
    Ended::of(place.debugtrail(&["trace", "--exit-codes", text(&path)]))
        .complains(2, &["`4\\u{202e}3` is no"]);
}

#[test]
fn a_log_filter_is_a_level_or_is_refused() {
    let place = Place::new();
    let with = |filter: &str| {
        let mut command = place.debugtrail(&["trace"]);
        command.env("DEBUGTRAIL_LOG", filter);
        Ended::of(command)
    };
    for known in ["", "warning", "debug", "info,kube=debug"] {
        with(known).complains(5, &["API server"]);
    }
    with("loud").complains(2, &["DEBUGTRAIL_LOG", "loud", "`warn`"]);
    with("kube=loud").complains(2, &["kube=loud"]);
}

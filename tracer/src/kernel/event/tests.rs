use super::*;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

#[test]
fn a_change_names_its_cgroup() {
    for kind in 1..=4 {
        let event = parse(&words(&[kind, 0, 77, 1]));
        assert_eq!(event, Some(Event::CgroupChanged(CgroupId(77 + (1 << 32)))), "kind {kind}");
    }
}

/// Attached at 1500, ended at 3000 with code 42.
fn member() -> Vec<u8> {
    let mut bytes = words(&[5, 4242, 77, 0, 1000, 0, 3000, 0, 42 << 8, 9, 1500, 0, 4000]);
    bytes.extend([1, 3, 0, 0]);
    bytes.extend(words(&[250, 0]));
    bytes.extend(b"sleep\0\0\0\0\0\0\0\0\0\0\0");
    bytes
}

#[test]
fn a_members_end_carries_who_when_and_how() {
    let expected = MemberEnded {
        cgroup: CgroupId(77),
        process: Process { pid: Pid(4242), forked: BootNanos(1000) },
        pid_in_container: Some(Pid(9)),
        parent: Pid(4000),
        since: BootNanos(1500),
        origin: Origin::Attached,
        left: Left { cgroup: true, mount_namespace: true },
        ended: BootNanos(3000),
        late: false,
        status: WaitStatus(42 << 8),
        max_rss_pages: Some(250),
        comm: "sleep".into(),
    };
    assert_eq!(parse(&member()), Some(Event::MemberEnded(expected)));
}

fn executed_with(names: &[u8], args: &[u8], full_len: u32) -> Vec<u8> {
    let lens = [names.len() as u32, 0, args.len() as u32, full_len];
    let mut bytes = words(&[6, 4242, 77, 0, 1000, 0, 2000, 0]);
    bytes.extend(words(&lens));
    bytes.extend(names);
    bytes.extend(args);
    bytes
}

fn args_of(bytes: &[u8]) -> Option<Args> {
    match parse(bytes) {
        Some(Event::Executed(executed)) => executed.args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exec_carries_path_and_arguments() {
    let bytes = executed_with(b"busybox\0bin\0", b"ls\0\0-l\0", 7);
    let expected = Executed {
        cgroup: CgroupId(77),
        process: Process { pid: Pid(4242), forked: BootNanos(1000) },
        at: BootNanos(2000),
        exe: Some("/bin/busybox".into()),
        args: Args::new(b"ls\0\0-l\0", 7),
    };
    let words = expected.args.as_ref().map(Args::words);
    assert_eq!(words, Some(vec!["ls".into(), String::new(), "-l".into()]));
    assert_eq!(parse(&bytes), Some(Event::Executed(expected)));
}

#[test]
fn arguments_that_were_cut_off_say_so() {
    let cut = args_of(&executed_with(b"", b"sh\0-c\0ech", 40)).unwrap();
    assert_eq!((cut.words(), cut.truncated), (vec!["sh".into(), "-c".into(), "ech".into()], true));
    let whole = args_of(&executed_with(b"", b"sh\0-c\0", 6)).unwrap();
    assert_eq!((whole.words().len(), whole.truncated), (2, false));
    assert_eq!(args_of(&executed_with(b"", b"", 40)), None);
}

#[test]
fn a_thousand_empty_arguments_take_a_byte_each() {
    let args = args_of(&executed_with(b"", &[0; 1000], 1000)).unwrap();
    assert_eq!((args.held_bytes(), args.words().len(), args.truncated), (999, 1000, false));
    assert!(args.words().iter().all(String::is_empty));
}

#[test]
fn a_short_or_unknown_event_is_none() {
    assert_eq!(parse(&[]), None);
    assert_eq!(parse(&words(&[9, 0, 0, 0])), None);
    assert_eq!(parse(&words(&[1, 0, 77])), None);
    for whole in [member(), executed_with(b"sh\0bin\0", b"sh\0", 3)] {
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), None, "{len} bytes");
        }
    }
    let mut unknown = member();
    unknown[52] = 99;
    assert_eq!(parse(&unknown), None);
}

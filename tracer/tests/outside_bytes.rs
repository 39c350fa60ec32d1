//! Every parser of bytes that come from outside, fed with what is nearly right: none may panic, hang or eat memory.
//!
//! A round here, and `cargo xtask fuzz` for as long as one likes: the cases are random each time, and one that fails is
//! shown as small as it can be. That finds less than a fuzzer led by coverage, and needs no nightly compiler.

use std::sync::Arc;
use std::time::{Duration, Instant};

use debugtrail::cgroup::{Own, Place};
use debugtrail::cli::convention;
use debugtrail::cli::log::filter::Filter;
use debugtrail::ids::BootId;
use debugtrail::ids::ContainerId;
use debugtrail::kernel::btf::Btf;
use debugtrail::kernel::{event, needs};
use debugtrail::ledger::{Heartbeat, Ledger, Limits, Snapshot};
use debugtrail::pods::connect::{Node, kubeconfig};
use debugtrail::pods::read::{PodRead, Said};
use debugtrail::pods::split::{LineSplitter, ListSplitter, Piece};
use debugtrail::record::{Convention, redact};
use debugtrail::runtime::bundle;
use debugtrail::serve;
use debugtrail::sinks::metrics::Metrics;
use debugtrail::sinks::{Output, Sent};
use debugtrail::visible;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Set by `cargo xtask fuzz`.
const SECONDS: &str = "DEBUGTRAIL_FUZZ_SECONDS";

/// At least one round, and rounds until the time is over.
fn fuzz<S: Strategy>(inputs: S, parse: impl Fn(S::Value)) {
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (began, mut cases) = (Instant::now(), 0u64);
    loop {
        let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
        let round = config.cases;
        TestRunner::new(config)
            .run(&inputs, |input| {
                parse(input);
                Ok::<(), TestCaseError>(())
            })
            .unwrap_or_else(|failure| panic!("{failure}"));
        cases += u64::from(round);
        if began.elapsed() >= Duration::from_secs(seconds) {
            println!("{cases} cases in {:.1} s", began.elapsed().as_secs_f64());
            return;
        }
    }
}

/// How bytes come to be wrong.
#[derive(Debug, Clone)]
enum Change {
    Set(prop::sample::Index, u8),
    /// A number where lengths and offsets are.
    Number(prop::sample::Index, u32),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        if len < 4 {
            return;
        }
        match self {
            Self::Set(at, value) => bytes[at.index(len)] = *value,
            Self::Number(at, value) => {
                let at = at.index(len - 3) / 4 * 4;
                bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
            Self::Insert(at, more) => drop(bytes.splice(at.index(len)..at.index(len), more.iter().copied())),
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Repeat(at, count) => {
                let tail = bytes[at.index(len)..].to_vec();
                bytes.extend(tail.iter().cycle().take(tail.len() * count));
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let number = prop_oneof![any::<u32>(), 0..64u32, Just(u32::MAX), Just(u32::MAX - 3), Just(1 << 31)];
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        4 => (at(), number).prop_map(|(at, value)| Change::Number(at, value)),
        1 => (at(), prop::collection::vec(any::<u8>(), 0..16)).prop_map(|(at, more)| Change::Insert(at, more)),
        1 => at().prop_map(Change::Cut),
        1 => (at(), 1..4usize).prop_map(|(at, count)| Change::Repeat(at, count)),
    ]
}

/// One of the seeds with some changes, or none.
fn nearly(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(seeds), prop::collection::vec(change(), 0..8)).prop_map(|(mut bytes, changes)| {
        changes.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    })
}

#[test]
fn fuzz_events_of_the_ring() {
    let seeds = (0..16u32).map(|kind| [&kind.to_ne_bytes()[..], &[1; 252]].concat()).collect();
    fuzz(prop_oneof![nearly(seeds), prop::collection::vec(any::<u8>(), 0..512)], |bytes| {
        let _ = event::parse(&bytes);
    });
}

#[test]
fn fuzz_bundles() {
    let containerd = br#"{"ociVersion":"1.0","process":{"env":["A=b"]},"annotations":{
        "io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"dbg",
        "io.kubernetes.cri.sandbox-uid":"78089609-1111-4222-8333-444455556666"}}"#;
    let crio =
        br#"{"annotations":{"io.kubernetes.cri-o.ContainerType":"sandbox","io.kubernetes.pod.name":"web"}}"#;
    let nested = [vec![b'['; 4000], vec![b'{'; 4000]].concat();
    fuzz(nearly(vec![containerd.to_vec(), crio.to_vec(), nested]), |bytes| {
        let _ = bundle::parse(&bytes);
    });
}

const POD: &str = r#"{"metadata":{"uid":"78089609-1111-4222-8333-444455556666","namespace":"default","name":"web",
    "resourceVersion":"7","deletionTimestamp":"2026-11-24T10:00:30Z","deletionGracePeriodSeconds":30,
    "labels":{"debugtrail.dev/session":""},"annotations":{"debug.openshift.io/source-resource":"nodes/n"},
    "managedFields":[{"manager":"kubectl","time":"9999-12-31T23:59:59Z"}],"ownerReferences":[{}]},
    "spec":{"nodeName":"n","restartPolicy":"Never","tolerations":[{"operator":"Exists"}],"activeDeadlineSeconds":8,
    "containers":[{"name":"app","image":"a","env":[{"name":"P","value":"x"}]}],
    "ephemeralContainers":[{"name":"dbg","targetContainerName":"app"}]},
    "status":{"startTime":"2026-11-24T10:00:00Z","conditions":[{"type":"DisruptionTarget","status":"True"}],
    "containerStatuses":[{"name":"app","restartCount":-3,"state":{"terminated":{"exitCode":99999999999}},
    "lastState":{"terminated":{"exitCode":1,"finishedAt":"2026-11-24T10:00:00Z"}}}]}}"#;

/// What the API server sends. However odd a pod is, what it says beside its facts is that something was wrong, or nothing.
#[test]
fn fuzz_pods() {
    let nested = format!("{{\"metadata\":{}", "[".repeat(4000));
    fuzz(nearly(vec![POD.into(), nested.into(), b"{}".to_vec()]), |bytes| {
        let PodRead { facts, unread } = PodRead::of(&bytes);
        assert!(facts.is_some() || unread.is_some_and(|unread| !unread.faults.is_empty()));
        let _ = Node::of(&bytes);
    });
}

#[test]
fn fuzz_lists_of_pods() {
    let list = format!(
        "{{\"kind\":\"PodList\",\"metadata\":{{\"resourceVersion\":\"7\"}},\"items\":[{POD},{POD}]}}"
    );
    fuzz((nearly(vec![list.into()]), 1..5000usize), |(bytes, step)| {
        let mut splitter = ListSplitter::default();
        let mut objects = 0;
        for bytes in bytes.chunks(step) {
            splitter.feed(bytes, &mut |piece| {
                objects += 1;
                if let Piece::Whole(json) = piece {
                    let _ = PodRead::of(json);
                }
            });
        }
        let _ = splitter.end();
        assert!(objects <= bytes.len());
    });
}

#[test]
fn fuzz_watches() {
    let seeds = [
        format!("{{\"type\":\"MODIFIED\",\"object\":{}}}\n", POD.replace('\n', " ")),
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":410}}\n"
            .to_owned(),
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}}}\n".to_owned(),
    ];
    let seeds = seeds.into_iter().map(String::into_bytes).collect();
    fuzz((nearly(seeds), 1..500usize), |(bytes, step)| {
        let mut splitter = LineSplitter::default();
        for bytes in bytes.chunks(step) {
            splitter.feed(bytes, &mut |piece| {
                if let Piece::Whole(line) = piece {
                    let _ = Said::of(line);
                }
            });
        }
    });
}

#[test]
fn fuzz_kubeconfigs() {
    let yaml = b"apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: k\n  cluster:\n    server: https://a\n\
        contexts:\n- name: c\n  context: {cluster: k, user: u}\nusers:\n- name: u\n  user: {token: t}\n";
    let bomb = b"a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nclusters: [*c,*c,*c,*c]\n";
    fuzz(nearly(vec![yaml.to_vec(), bomb.to_vec(), b"\xef\xbb\xbf{}".to_vec()]), |bytes| {
        let _ = kubeconfig::parse(&bytes, std::path::Path::new("/root/.kube/config"));
    });
}

#[test]
fn fuzz_types_of_the_kernel() {
    fuzz(nearly(vec![btf()]), |bytes| {
        let Ok(types) = Btf::parse(&bytes) else { return };
        let _ = types.offset("task_struct", "pid");
        let _ = types.offset("task_struct", "inner");
        let _ = types.tracepoint_args("sched_process_exit");
        let _ = needs::lacks(&types);
    });
}

/// By chance a path is of no pod; so it is put together of what paths have.
#[test]
fn fuzz_paths() {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "kubepods",
            "-kubepods",
            "/",
            "-pod",
            "/pod",
            ".slice",
            ".scope",
            ":",
            "-",
            "_",
            "burstable",
            "besteffort",
            "cri-containerd",
            "crio-conmon-",
            "docker",
            "78089609-1111-4222-8333-444455556666",
            "é",
            "\0",
            "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a79685746352413021fff",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,8}",
    ];
    fuzz(prop::collection::vec(piece, 0..24), |pieces| {
        let path = pieces.concat();
        if let Place::Container { container_id, .. } = Place::of(&path) {
            assert!(path.contains(container_id.as_str()), "{path:?}");
        }
        if let Some(Own { cgroup, root }) = Own::of(&path) {
            assert!(path.starts_with(cgroup) && cgroup.starts_with(root), "{path:?}");
            let (own, all) = (Place::of(cgroup), Place::of(&path));
            assert!(!own.is_inner() && own.container_id() == all.container_id(), "{path:?}");
        }
        let _ = ContainerId::parse(&path);
        let _ = ContainerId::parse_url(&path);
    });
}

#[test]
fn fuzz_conventions() {
    fuzz("([0-9]{1,4}|[a-z]{0,4}|[ \t#\n]|\\PC){0,24}", |text| {
        let _ = Convention::parse(&text);
    });
}

/// As a file, with what editors put before the text.
#[test]
fn fuzz_exit_code_files() {
    let seeds = [
        b"\xef\xbb\xbf42 pool-exhausted warning\r\n43 disk-full error # page\r\n".to_vec(),
        b"\xff\xfe4\x002\x00 \x00a\x00".to_vec(),
        b"42 a\n43 b info\n".to_vec(),
    ];
    fuzz(nearly(seeds.to_vec()), |bytes| {
        if let Err(error) = convention::parse("codes".as_ref(), &bytes) {
            assert!(!visible::line(&error.to_string()).contains(visible::is_hidden));
        }
    });
}

#[test]
fn fuzz_log_filters() {
    fuzz("((warn(ing)?|DEBUG|off|kube|debugtrail::serve|[=,: \\[\\]{}]|\\PC){0,12}|\\PC*)", |text| {
        if let Err(error) = text.parse::<Filter>() {
            assert!(text.contains(&error.part), "{error}");
        }
    });
}

/// By chance no argument has a secret; so they are put together of what redaction looks for.
#[test]
fn fuzz_arguments() {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "password", "PASS", "--token", "--header", "-H", "-d", "--data=", "-p", "-u", "mysql", "curl", "Bearer ",
            "X-Api-Key", "--from-literal", "--env=", "=", ":", ": ", "&", "?", ";", " ", "\n", "'", "\"", "\\\"", "\\",
            "{", "}", "[", "]", ",", "https://", "@", "[redacted]", "-----BEGIN", "eyJ0123456789abcdef", "\u{202e}",
        ])
        .prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ];
    let argument = prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat());
    fuzz(prop::collection::vec(argument, 0..8), |argv| {
        let shown = redact::redact(&argv);
        assert_eq!(shown.len(), argv.len());
        assert_eq!(redact::redact(&shown), shown, "{argv:?}");
    });
}

/// Each conversation ends with the client's last byte, with an answer or none.
#[test]
fn fuzz_http_requests() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let status = serve::Status {
        pulse: Arc::default(),
        ledger: Arc::default(),
        metrics: Arc::new(Metrics::new(Arc::default())),
    };
    let seeds = [
        &b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"GET /metrics HTTP/1.0\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nExpect: 100-continue\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    fuzz(nearly(seeds.map(<[u8]>::to_vec).to_vec()), |bytes| {
        let answer = runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            let served = tokio::spawn(serve::converse(server, status.clone()));
            client.write_all(&bytes).await.expect("there is room");
            client.shutdown().await.expect("the client may stop to speak");
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.expect("it ends");
            served.await.expect("no panic");
            answer
        });
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1."),
            "{:?}",
            String::from_utf8_lossy(&answer)
        );
    });
}

/// `struct task_struct { int pid; struct { int a; } inner; }` and a tracepoint's prototype, as BTF has them.
fn btf() -> Vec<u8> {
    let mut strings = vec![0u8];
    let mut name = |text: &str| {
        let at = u32::try_from(strings.len()).expect("short");
        strings.extend(text.as_bytes());
        strings.push(0);
        at
    };
    const INT: u32 = 1;
    const PTR: u32 = 2;
    const STRUCT: u32 = 4;
    const TYPEDEF: u32 = 8;
    const PROTO: u32 = 13;
    let info = |kind: u32, members: u32| (kind << 24) | members;
    let types: Vec<u32> = [
        vec![name("int"), info(INT, 0), 4, 32],
        vec![0, info(STRUCT, 1), 4, name("a"), 1, 0],
        vec![name("task_struct"), info(STRUCT, 2), 8, name("pid"), 1, 0, 0, 2, 32],
        vec![0, info(PTR, 0), 3],
        vec![0, info(PROTO, 2), 0, 0, 4, name("task"), 4],
        vec![0, info(PTR, 0), 5],
        vec![name("btf_trace_sched_process_exit"), info(TYPEDEF, 0), 6],
    ]
    .concat();
    let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).expect("short");
    // magic, version, flags; then the header's length, offset and length of types and of strings.
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, len(&types), len(&types), len(&strings)] {
        bytes.extend(word.to_le_bytes());
    }
    [bytes, types, strings].concat()
}

#[test]
fn the_seed_of_types_is_right() {
    let types = Btf::parse(&btf()).expect("it is read");
    assert!(types.offset("task_struct", "pid").is_ok());
    assert!(types.tracepoint_args("sched_process_exit").is_ok());
}

const GAP: &str = r#"{"schema":"debugtrail.dev/record/v1","type":"gap","id":"gap:00112233445566778899aabbccddeeff:3",
"session_id":null,"node_name":"n","reason":"ledger_damaged","from_at":null,"to_at":null,"from_boot_ns":null,"to_boot_ns":null,
"lost":2,"counts":[],"sessions":[],"sessions_truncated":false,"records":[{"first":1,"last":2}],"pods":[],
"clock":{"boot_id":"b0","synchronized":null,"max_error_us":null}}"#;

/// A folder in which every file was changed: the ledger opens, or says that it can't, and stdout ends.
#[test]
fn fuzz_ledgers() {
    let gap = GAP.replace('\n', "") + "\n";
    let records = [gap.clone(), gap, "{\"a\":1}\n".into(), "\0\0{}\n{\"torn".into()].concat().into_bytes();
    let cursor = br#"{"record":3,"segment":0,"offset":300}"#.to_vec();
    let far = br#"{"record":9007199254740991,"segment":9007199254740991,"offset":0}"#.to_vec();
    let heartbeat = br#"{"boot_id":"b0","boot_ns":"7","at":"9999-12-31T23:59:59.000000007Z"}"#.to_vec();
    let number = prop_oneof![Just(0), 0..9u64, Just((1 << 53) - 1), any::<u64>()];
    let folder = (
        prop::collection::vec((number, nearly(vec![records])), 0..3),
        nearly(vec![cursor, far]),
        nearly(vec![heartbeat]),
        nearly(vec![br#"{"pods":[],"live":[]}"#.to_vec()]),
    );
    let limits = Limits { segment: 200, total: 1 << 20 };
    fuzz(folder, |(segments, cursor, heartbeat, snapshot)| {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        std::fs::create_dir(folder.path().join("records")).unwrap();
        segments.iter().for_each(|(n, bytes)| write(&format!("records/{n:020}.jsonl"), bytes));
        write("stdout.cursor", &cursor);
        write("heartbeat.json", &heartbeat);
        write("state.json", &snapshot);
        let _ = Heartbeat::read(&folder.path().join("heartbeat.json")).map(|heartbeat| heartbeat.offset());
        let _ = Snapshot::read(&folder.path().join("state.json"));
        for _ in 0..2 {
            let opened = Ledger::open(folder.path(), limits, BootId::new("b0")).unwrap();
            let ledger = opened.writing.start(std::io::sink()).unwrap();
            assert_eq!(ledger.send(r#"{"new":1}"#.into()), Sent::Queued);
            Box::new(ledger).finish().unwrap();
        }
    });
}

//! Main processes by the thousand, in parallel: each end recorded, once, and as the parent saw it.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use debugtrail::ids::CgroupId;
use debugtrail::kernel::{Event, event};
use debugtrail_common::event::EventKind;
use debugtrail_common::loss::Loss;
use debugtrail_tests::{clone, tiny};

use crate::support::{TestCgroup, Tracer, say};

/// Main processes in all, unless `DEBUGTRAIL_TEST_MAINS` says how many.
const MAINS: usize = 2000;
/// More than CPUs: on 7.3 a program is skipped where another process is preempted inside it.
const WORKERS: usize = 8;
/// For the last to be reported: the kernel frees a process an RCU period after its end.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a parent saw.
struct Waited {
    cgroup: CgroupId,
    status: i32,
}

/// What the kernel side has of one main process.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Seen {
    /// Times that the ring reported the end.
    reported: u32,
    status: Option<i32>,
    late: bool,
}

#[test]
fn every_main_process_of_parallel_storms_ends_once() {
    let mains =
        std::env::var("DEBUGTRAIL_TEST_MAINS").map_or(MAINS, |count| count.parse().expect("a number"));
    let mut tracer = Tracer::fresh();
    let parent = TestCgroup::new("storms");
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("tiny");
    tiny::write(&program).expect("a program");
    let program = CString::new(program.into_os_string().into_encoded_bytes()).expect("no NUL");
    let (sender, receiver) = mpsc::channel();
    let began = Instant::now();
    let (waited, seen) = std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (sender, dir, program) = (sender.clone(), parent.dir.join(worker.to_string()), &program);
            let share = mains / WORKERS + usize::from(worker < mains % WORKERS);
            scope.spawn(move || storm(&dir, program, share, &sender));
        }
        drop(sender);
        watch(&mut tracer, &receiver)
    });
    report(&tracer, began, &waited, &seen);
    assert_eq!(waited.len(), mains);
    let wrong: Vec<_> = waited
        .iter()
        .map(|(cgroup, status)| (cgroup, status, seen.get(cgroup).copied().unwrap_or_default()))
        .filter(|(_, status, seen)| seen.reported != 1 || seen.status != Some(**status))
        .collect();
    assert!(wrong.is_empty(), "{} of {mains} ends: {:?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    let loss = tracer.kernel.loss().expect("loss can be read");
    assert!(loss.of(Loss::Main) == 0, "{loss:?}");
}

/// One main process after another, each in a cgroup of its own.
fn storm(dir: &Path, program: &CStr, count: usize, sender: &Sender<Waited>) {
    fs::create_dir(dir).expect("a cgroup can be made");
    for n in 0..count {
        let own = dir.join(n.to_string());
        fs::create_dir(&own).expect("a cgroup can be made");
        let cgroup = fs::File::open(&own).expect("a cgroup can be opened");
        let code = [(n % 255 + 1) as u8, 0];
        let argv = [code.as_ptr().cast(), std::ptr::null()];
        // SAFETY: the list ends with null, its string with NUL, and both outlive the call.
        let pid = unsafe { clone::start_in(cgroup.as_fd(), program, argv.as_ptr()) }.expect("a process");
        let mut status = 0;
        // SAFETY: writes into a local; the child is this thread's and not reaped yet.
        assert_eq!(unsafe { libc::waitpid(pid as i32, &raw mut status, 0) }, pid as i32);
        let id = CgroupId(cgroup.metadata().expect("a cgroup has an inode").ino());
        sender.send(Waited { cgroup: id, status }).expect("the test listens");
        fs::remove_dir(&own).expect("a cgroup can be removed");
    }
    fs::remove_dir(dir).expect("a cgroup can be removed");
}

/// Reads the ring until every end that a parent saw was reported, or the time is up; forgets each cgroup
/// whose end it has read, as the tracker does.
fn watch(
    tracer: &mut Tracer,
    receiver: &Receiver<Waited>,
) -> (HashMap<CgroupId, i32>, HashMap<CgroupId, Seen>) {
    let (mut waited, mut seen) = (HashMap::new(), HashMap::<CgroupId, Seen>::new());
    let (mut deadline, mut ended) = (None, Vec::new());
    loop {
        let mut more = false;
        loop {
            match receiver.try_recv() {
                Ok(Waited { cgroup, status }) => drop(waited.insert(cgroup, status)),
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => {
                    deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
                    break;
                }
            }
        }
        while let Some(bytes) = tracer.ring.next() {
            more = true;
            let Some(Event::CgroupChanged(cgroup)) = event::parse(&bytes) else { continue };
            if bytes[..4] == (EventKind::MainEnded as u32).to_ne_bytes() {
                let seen = seen.entry(cgroup).or_default();
                seen.reported += 1;
                if seen.reported == 1 {
                    ended.push(cgroup);
                }
            }
        }
        for cgroup in ended.drain(..) {
            let entry = tracer.kernel.observation(cgroup).expect("readable");
            let end = entry.and_then(|entry| entry.end).expect("an end that was reported is in the entry");
            seen.insert(cgroup, Seen { status: Some(end.status.0), late: end.late, ..seen[&cgroup] });
            tracer.kernel.forget(cgroup).expect("a cgroup can be forgotten");
        }
        if deadline.is_some() {
            take_last(tracer, &waited, &mut seen);
        }
        let all = || waited.keys().all(|cgroup| seen.contains_key(cgroup));
        if deadline.is_some_and(|deadline| !more && all() || Instant::now() > deadline) {
            return (waited, seen);
        }
        if !more {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Where the kernel has skipped the programs of its exec and of its exit, a main process is known by its
/// freeing alone. The tracker also needs its pid from the runtime; here it comes from the parent.
fn take_last(tracer: &Tracer, waited: &HashMap<CgroupId, i32>, seen: &mut HashMap<CgroupId, Seen>) {
    let missing: Vec<_> = waited.keys().filter(|cgroup| !seen.contains_key(cgroup)).copied().collect();
    for cgroup in missing {
        let entry = tracer.kernel.observation(cgroup).expect("readable");
        if let Some(last) = entry.and_then(|entry| entry.last) {
            seen.insert(cgroup, Seen { reported: 1, status: Some(last.status.0), late: true });
        }
    }
}

/// Prints what the table of kernels has of it.
fn report(tracer: &Tracer, began: Instant, waited: &HashMap<CgroupId, i32>, seen: &HashMap<CgroupId, Seen>) {
    let late = seen.values().filter(|seen| seen.late).count();
    let entry = |cgroup: &CgroupId| tracer.kernel.observation(*cgroup).expect("readable");
    let (unseen, mainless): (Vec<_>, Vec<_>) =
        waited.keys().filter(|cgroup| !seen.contains_key(cgroup)).map(entry).partition(Option::is_none);
    let skipped: Vec<String> = skipped()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    say(&format!(
        "note: main processes in parallel storms: {} of {} ends reported ({late} only when the process was freed; of \
         the others {} cgroups and {} main processes were not seen), in {:.0} s; programs skipped by the kernel: {}",
        seen.len(),
        waited.len(),
        unseen.len(),
        mainless.len(),
        began.elapsed().as_secs_f64(),
        if skipped.is_empty() { "none".to_owned() } else { skipped.join(", ") },
    ));
}

/// How often the kernel skipped each of this process's programs.
fn skipped() -> BTreeMap<String, u64> {
    let descriptors = fs::read_dir("/proc/self/fdinfo").expect("readable");
    let infos: Vec<String> =
        descriptors.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok()).collect();
    let number = |info: &str, key: &str| {
        info.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok())
    };
    let misses: HashMap<u64, u64> = infos
        .iter()
        .filter_map(|info| Some((number(info, "prog_id:")?, number(info, "recursion_misses:")?)))
        .collect();
    let programs = aya::programs::loaded_programs().filter_map(Result::ok);
    programs
        .filter_map(|program| {
            let name = program.name_as_str().unwrap_or_default().to_owned();
            Some((name, *misses.get(&u64::from(program.id()))?))
        })
        .collect()
}

//! A cgroup made by hand, a main process in it, and a tracer to ask.

use std::{
    ffi::CString,
    fs,
    io::{self, BufRead, BufReader, Write},
    ops::{Deref, DerefMut},
    os::fd::AsFd,
    os::unix::{
        fs::MetadataExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use debugtrail::{
    cgroup::hierarchy::Hierarchy,
    ids::{BootNanos, CgroupId},
    kernel::{
        Event, Kernel, LoadOptions, Observation, Ring,
        event::{self, Executed, MemberEnded},
    },
    record::WaitStatus,
};
use debugtrail_common::event::EventKind;
use debugtrail_tests::clone::{self, Birth, Reaped};

/// For what takes a moment; an emulated CPU that others use too is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends in ways that a shell can't.
pub const ENDING: &str = env!("CARGO_BIN_EXE_ending");

/// Events of the ring.
#[derive(Debug, Default)]
pub struct RingEvents {
    pub members: Vec<MemberEnded>,
    pub executed: Vec<Executed>,
    /// Each end of a main process, by its cgroup; also in cgroups that are no test's.
    main_ends: Vec<CgroupId>,
}

impl RingEvents {
    /// How often the end of a cgroup's main process was reported.
    pub fn ends_in(&self, cgroup: &TestCgroup) -> usize {
        self.main_ends.iter().filter(|id| **id == cgroup.id).count()
    }
}

/// The loaded and attached programs, and their ring.
pub struct Loaded {
    pub kernel: Kernel,
    pub ring: Ring,
    /// `None` where another test may not have them.
    options: Option<LoadOptions>,
}

impl Loaded {
    fn load(options: LoadOptions) -> Self {
        let (kernel, ring) = Kernel::load(options).expect("the kernel tier needs root and a kernel with BTF");
        Self { kernel, ring, options: Some(options) }
    }

    /// Forgets all of a test. False where the next test would see something of it.
    fn reset(&mut self) -> bool {
        let forgotten = self
            .kernel
            .cgroups()
            .is_ok_and(|kept| kept.into_iter().all(|cgroup| self.kernel.forget(cgroup).is_ok()));
        while self.ring.next().is_some() {}
        let counted = self.kernel.loss().map(|loss| loss.by_cpu.values().flatten().sum::<u64>());
        forgotten
            && counted.is_ok_and(|lost| lost == 0)
            && self.kernel.read_until(BootNanos(u64::MAX)).is_ok()
    }
}

/// Programs that no test uses now. Loading takes most of a test's time on an emulated CPU, so that one test hands them on to
/// the next.
static IDLE: Mutex<Option<Loaded>> = Mutex::new(None);

fn idle() -> MutexGuard<'static, Option<Loaded>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The programs of one test.
pub struct Tracer {
    loaded: Option<Loaded>,
}

impl Tracer {
    /// Attached before this test or now.
    pub fn new() -> Self {
        Self::with(LoadOptions::default())
    }

    /// The same with other options than the default.
    pub fn with(options: LoadOptions) -> Self {
        let idle = idle().take().filter(|idle| idle.options == Some(options));
        Self { loaded: Some(idle.unwrap_or_else(|| Loaded::load(options))) }
    }

    /// Attached now: what was made before is not known to it.
    pub fn fresh() -> Self {
        drop(idle().take());
        Self::new()
    }

    /// Of programs that a test has loaded by itself.
    pub fn of((kernel, ring): (Kernel, Ring)) -> Self {
        Self { loaded: Some(Loaded { kernel, ring, options: None }) }
    }

    /// Detaches them now.
    pub fn unload(mut self) {
        drop(self.loaded.take());
    }

    /// Makes a cgroup a session's own.
    pub fn track(&mut self, cgroup: &TestCgroup) {
        self.kernel.track(cgroup.id, cgroup.id).expect("a cgroup can be tracked");
    }

    /// The ring's events since the last call. An end is in it before the parent can reap.
    pub fn read_ring(&mut self) -> RingEvents {
        let mut events = RingEvents::default();
        self.read_into(&mut events);
        events
    }

    fn read_into(&mut self, events: &mut RingEvents) {
        const MAIN_ENDED: u32 = EventKind::MainEnded as u32;
        while let Some(bytes) = self.ring.next() {
            match event::parse(&bytes) {
                Some(Event::MemberEnded(member)) => events.members.push(member),
                Some(Event::Executed(executed)) => events.executed.push(executed),
                Some(Event::CgroupChanged(cgroup)) if bytes[..4] == MAIN_ENDED.to_ne_bytes() => {
                    events.main_ends.push(cgroup);
                }
                _ => {}
            }
        }
    }

    /// The same, until the ends of so many members were reported: where the kernel skipped the exit's
    /// program, an end is only reported when the process is freed, an RCU period after its reaping.
    pub fn read_ring_until(&mut self, members: u64) -> RingEvents {
        let deadline = Instant::now() + PATIENCE;
        let mut all = self.read_ring();
        while (all.members.len() as u64) < members && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
            self.read_into(&mut all);
        }
        all
    }

    /// Ends of members that the ring has reported since the last call.
    pub fn members(&mut self) -> Vec<MemberEnded> {
        self.read_ring().members
    }

    /// Waits until the cgroup's entry says what is wanted.
    pub fn await_entry(&self, cgroup: CgroupId, wanted: impl Fn(&Observation) -> bool) -> Observation {
        let deadline = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < deadline {
            last = self.kernel.observation(cgroup).expect("the entry can be read");
            if let Some(seen) = last.as_ref().filter(|seen| wanted(seen)) {
                return seen.clone();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the kernel did not say what was wanted; the entry is {last:#?}");
    }
}

impl Deref for Tracer {
    type Target = Loaded;

    fn deref(&self) -> &Loaded {
        self.loaded.as_ref().expect("there until it is dropped")
    }
}

impl DerefMut for Tracer {
    fn deref_mut(&mut self) -> &mut Loaded {
        self.loaded.as_mut().expect("there until it is dropped")
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let Some(mut loaded) = self.loaded.take().filter(|_| !std::thread::panicking()) else { return };
        if loaded.options.is_some() && loaded.reset() {
            *idle() = Some(loaded);
        }
    }
}

/// A cgroup that is removed at the end, its processes killed.
pub struct TestCgroup {
    pub id: CgroupId,
    pub dir: PathBuf,
}

impl TestCgroup {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let hierarchy = Hierarchy::find().expect("the kernel tier needs a cgroup2 mount");
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = hierarchy.mount().join(format!("debugtrail-test-{}-{n}-{name}", std::process::id()));
        fs::create_dir(&dir).expect("a cgroup can be made");
        let id = CgroupId(fs::metadata(&dir).expect("a cgroup has an inode").ino());
        Self { id, dir }
    }

    /// Starts a program as a container's main process: in this cgroup, in its own mount namespace.
    pub fn main(&self, program: &str, args: &[&str]) -> Child {
        let mut command = Command::new(program);
        command.args(args);
        self.spawn(command, true)
    }

    /// The same, after the process has entered the cgroup and the namespace and has run `hook` there.
    pub fn main_after(
        &self,
        program: &str,
        args: &[&str],
        hook: impl Fn(&str) + Send + Sync + 'static,
    ) -> Child {
        let mut command = Command::new(program);
        command.args(args);
        let inside = self.dir.display().to_string();
        self.prepare(&mut command, true);
        // SAFETY: runs after the entering; this process has a single test thread that forks, and the child only
        // starts another one.
        unsafe {
            command.pre_exec(move || {
                hook(&inside);
                Ok(())
            });
        }
        command.stdin(Stdio::piped()).spawn().expect("a process can be started in a cgroup")
    }

    pub fn spawn(&self, command: Command, own_mount_namespace: bool) -> Child {
        self.try_spawn(command, own_mount_namespace).expect("a process can be started in a cgroup")
    }

    pub fn try_spawn(&self, mut command: Command, own_mount_namespace: bool) -> io::Result<Child> {
        self.prepare(&mut command, own_mount_namespace);
        command.stdin(Stdio::piped()).spawn()
    }

    /// Starts a main process that says on its standard output when it is ready, and waits for that.
    pub fn ready_main(&self, program: &str, args: &[&str]) -> Child {
        let mut command = Command::new(program);
        command.args(args).stdout(Stdio::piped());
        let mut child = self.spawn(command, true);
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("readable");
        assert_eq!(line, "ready\n");
        child
    }

    /// Starts a program born in the cgroup by CLONE_INTO_CGROUP, in its own mount namespace, and reaps it.
    pub fn clone_into(&self, program: &str, args: &[&str]) -> u32 {
        self.clone_into_as(None, program, args).expect("a child can be born in a cgroup").pid
    }

    /// The same with a pid of our choice.
    pub fn clone_into_as(&self, pid: Option<u32>, program: &str, args: &[&str]) -> io::Result<Reaped> {
        let program = CString::new(program).expect("no NUL");
        let args: Vec<CString> = args.iter().map(|arg| CString::new(*arg).expect("no NUL")).collect();
        let mut argv: Vec<*const libc::c_char> = vec![program.as_ptr()];
        argv.extend(args.iter().map(|arg| arg.as_ptr()));
        argv.push(std::ptr::null());
        self.clone_child(pid, || {
            // SAFETY: system calls on memory that was prepared before and that the child has a copy of.
            unsafe {
                libc::unshare(libc::CLONE_NEWNS);
                libc::execv(program.as_ptr(), argv.as_ptr());
            }
            127
        })
    }

    /// A child born in the cgroup that ends with a code and never execs; gives its pid.
    pub fn clone_and_exit(&self, code: i32) -> u32 {
        self.clone_child(None, || code).expect("a child can be born in a cgroup").pid
    }

    /// Runs `child` in a child born in the cgroup, and reaps it. `child` may only make system calls.
    fn clone_child(&self, pid: Option<u32>, child: impl FnOnce() -> i32) -> io::Result<Reaped> {
        let dir = fs::File::open(&self.dir).expect("a cgroup can be opened");
        // SAFETY: each caller's child makes system calls alone.
        unsafe { clone::run(Birth { cgroup: Some(dir.as_fd()), pid }, child) }
    }

    /// Waits until a process is in this cgroup.
    pub fn await_process(&self, pid: u32) {
        let deadline = Instant::now() + PATIENCE;
        let inside = || {
            let procs = fs::read_to_string(self.dir.join("cgroup.procs")).expect("readable");
            procs.lines().any(|line| line == pid.to_string())
        };
        while !inside() {
            assert!(Instant::now() < deadline, "process {pid} does not come to {}", self.dir.display());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn prepare(&self, command: &mut Command, own_mount_namespace: bool) {
        let procs = self.dir.join("cgroup.procs");
        // SAFETY: between fork and exec only system calls are made, none of which allocates or locks.
        unsafe {
            command.pre_exec(move || {
                if own_mount_namespace && libc::unshare(libc::CLONE_NEWNS) != 0 {
                    return Err(io::Error::last_os_error());
                }
                fs::write(&procs, "0")
            });
        }
    }

    pub fn remove(&self) {
        kill_all(&self.dir);
        let deadline = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.dir).is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            assert!(Instant::now() < deadline, "{} can't be removed", self.dir.display());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.remove();
        } else {
            kill_all(&self.dir);
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// A memory limit of its own: a cgroup of the v1 controller where that is mounted, else of v2. Removed at the end.
pub struct MemoryLimit {
    pub dir: PathBuf,
}

impl MemoryLimit {
    pub fn new(bytes: u64) -> Self {
        let mounts = procfs::process::Process::myself().and_then(|own| own.mountinfo()).expect("mounts");
        let v1 = mounts.into_iter().find(|mount| mount.super_options.contains_key("memory"));
        let (root, file) = match v1 {
            Some(mount) => (mount.mount_point, "memory.limit_in_bytes"),
            None => (Hierarchy::find().expect("cgroup2").mount().to_owned(), "memory.max"),
        };
        let limit = Self { dir: root.join(format!("debugtrail-test-{}-memory", std::process::id())) };
        fs::create_dir(&limit.dir).expect("a memory cgroup can be made");
        fs::write(limit.dir.join(file), bytes.to_string()).expect("the memory controller is enabled");
        limit
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let removed = fs::remove_dir(&self.dir);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

fn kill_all(dir: &std::path::Path) {
    // Since 5.14; older kernels kill one by one.
    if fs::write(dir.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    for pid in fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Ok(pid) = pid.parse() {
            // SAFETY: a plain system call; the pid is of a cgroup that this test made.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

/// Waits until a process's first thread has ended, without reaping it.
pub fn await_zombie(process: &Child) {
    let deadline = Instant::now() + PATIENCE;
    let stat = || procfs::process::Process::new(process.id() as i32).and_then(|process| process.stat());
    while stat().expect("its parent has not reaped it").state != 'Z' {
        assert!(Instant::now() < deadline, "process {} does not end", process.id());
        std::thread::yield_now();
    }
}

/// The wait status that the parent gets. Ends the child's standard input.
pub fn wait(child: &mut Child) -> WaitStatus {
    WaitStatus(child.wait().expect("a child can be waited for").into_raw())
}

/// Prints, past libtest, that this kernel lacks what a test is about: the matrix tier counts it, and never as
/// passed.
pub fn not_on_this_kernel(lacks: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    say(&format!("not on this kernel: {test}: {lacks}"));
}

/// Prints a line that libtest does not keep to itself.
pub fn say(line: &str) {
    io::stderr().write_all(format!("{line}\n").as_bytes()).expect("stderr takes it");
}

pub fn now() -> BootNanos {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    BootNanos(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

//! Loading the programs into the running kernel and attaching them.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use aya::{
    Btf as AyaBtf, Ebpf, EbpfLoader,
    programs::{BtfTracePoint, Iter, RawTracePoint, tp_btf::BtfTracePointLinkId},
};
use debugtrail_common::fields::WITH_ARGS;
use thiserror::Error;

use super::btf::{Btf, BtfError};
use super::fields;
use super::hooks::{ACCOUNT, HOOKS, SCAN};
use super::needs::{self, Lack};
use super::pins::PinsError;
use super::placed;
use super::privileges::{self, PrivilegeError, Privileges};

/// Where the kernel describes its types.
const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// Aligned as the ELF reader wants it.
#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);
static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("DEBUGTRAIL_BPF_OBJECT")));

/// The programs as they were built.
#[derive(Clone, Debug)]
pub struct Object(Cow<'static, [u8]>);

impl Object {
    /// Those of this debugtrail.
    #[must_use]
    pub fn own() -> Self {
        Self(Cow::Borrowed(&OBJECT.0))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Those of another one: for tests of an upgrade.
    ///
    /// # Errors
    ///
    /// Where the file can't be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self(Cow::Owned(std::fs::read(path)?)))
    }

    /// FNV-1a of its bytes and of what is chosen at its load. Whoever could forge one is root and has no need to.
    pub(super) fn identity_with(&self, options: LoadOptions) -> u64 {
        let LoadOptions { ring_bytes, with_args } = options;
        let chosen = [ring_bytes.unwrap_or(0), u32::from(with_args)].map(u32::to_le_bytes);
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        self.0.iter().chain(chosen.as_flattened()).fold(0xcbf2_9ce4_8422_2325, step)
    }
}

/// Programs that were loaded and attached. Dropping it detaches them.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    pub(super) links: Vec<(&'static str, BtfTracePointLinkId)>,
}

/// Why the programs are not in the kernel, or can't be read.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The kernel has no BTF, or it can't be read.
    #[error(
        "can't read {BTF_PATH}: {0}; debugtrail needs a kernel of 5.10 or later built with CONFIG_DEBUG_INFO_BTF, \
         and its /sys"
    )]
    NoBtf(io::Error),
    /// The kernel lacks what the programs need.
    #[error(transparent)]
    Kernel(#[from] BtfError),
    /// The kernel is too old, or built without what the programs need.
    #[error(
        "kernel {release} lacks what debugtrail needs: {}; run a kernel of 5.10 or later with all of it",
        needs::in_words(.lacks)
    )]
    TooOld {
        /// `uname -r`.
        release: String,
        /// What it lacks.
        lacks: Vec<Lack>,
    },
    /// Not allowed to load BPF programs.
    #[error(transparent)]
    NotAllowed(PrivilegeError),
    /// The kernel refused something else; its verifier's log is in the source.
    #[error("the kernel refused the BPF programs: {}; DEBUGTRAIL_LOG=debug shows all that it says", first_line(.0))]
    Refused(anyhow::Error),
    /// The folder of pins.
    #[error(transparent)]
    Pins(#[from] PinsError),
    /// What is pinned is laid out in a way that can't be read.
    #[error("it was pinned by another version and can't be read: {0}")]
    Foreign(String),
    /// A map call failed.
    #[error("reading the kernel's maps failed: {0}")]
    Map(#[from] aya::maps::MapError),
    /// Running the program that counts failed.
    #[error("counting in the kernel what is of interest failed: {0}")]
    Account(io::Error),
    /// Reading the scan failed.
    #[error("going over the running tasks failed: {0}")]
    Scan(io::Error),
}

impl KernelError {
    /// Something pinned is not what its name says.
    pub(super) fn unlike(what: &str) -> Self {
        Self::Foreign(format!("it is not as described: {what}"))
    }
}

/// What may be chosen at load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Size of the ring in bytes, a power of two of at least a page; `None` for the default, 1 MiB.
    pub ring_bytes: Option<u32>,
    /// Whether the arguments of programs that a session executes are read.
    pub with_args: bool,
}

type Globals = Vec<(&'static str, u32)>;

/// Loads and attaches all programs. Dropping the result detaches them.
pub(super) fn load(options: LoadOptions, object: &Object) -> Result<Loaded, KernelError> {
    // One reading of the kernel's types after the other: each takes some 15 MiB while it is there.
    let (globals, charged) = described(&types()?)?;
    if charged {
        privileges::raise_memlock();
    }
    load_with(options, object, &globals).map_err(|error| match error {
        KernelError::NotAllowed(_) => not_allowed(charged),
        error => error,
    })
}

/// The kernel's release, as `uname -r` gives it.
pub(super) fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The kernel's types.
pub(super) fn types() -> Result<Btf, KernelError> {
    let bytes = std::fs::read(BTF_PATH).map_err(KernelError::NoBtf)?;
    Ok(Btf::parse(&bytes)?)
}

/// The value of every global that the programs read, and whether maps are charged to `RLIMIT_MEMLOCK`.
fn described(types: &Btf) -> Result<(Globals, bool), KernelError> {
    let (lacks, facts): (Vec<_>, Vec<_>) = needs::lacks(types).into_iter().partition(|lack| lack.needed);
    for fact in facts {
        tracing::warn!("this kernel does not show {fact}: {}", fact.purpose);
    }
    if !lacks.is_empty() {
        return Err(KernelError::TooOld { release: release(), lacks });
    }
    Ok((fields::globals(types)?, needs::charges_memlock(types)))
}

fn load_with(options: LoadOptions, object: &Object, globals: &Globals) -> Result<Loaded, KernelError> {
    let mut loader = EbpfLoader::new();
    // It has read them to relocate accesses to kernel fields; the object has none, see `globals`.
    loader.btf(None);
    for (name, value) in globals {
        loader.override_global(name, value, true);
    }
    let with_args = u32::from(options.with_args);
    loader.override_global(WITH_ARGS, &with_args, true);
    if let Some(bytes) = options.ring_bytes {
        loader.map_max_entries(debugtrail_common::maps::EVENTS, bytes);
    }
    let placed = placed::place(object.bytes(), globals).map_err(KernelError::Refused)?;
    let mut ebpf = loader.load(&placed).map_err(refused)?;
    let btf = AyaBtf::from_sys_fs().map_err(refused)?;
    let scan: &mut Iter = program(&mut ebpf, SCAN)?;
    scan.load("task", &btf).map_err(refused)?;
    let account: &mut RawTracePoint = program(&mut ebpf, ACCOUNT)?;
    account.load().map_err(refused)?;
    for hook in HOOKS {
        let program: &mut BtfTracePoint = program(&mut ebpf, hook)?;
        program.load(hook, &btf).map_err(refused)?;
    }
    let mut links = Vec::new();
    for hook in HOOKS {
        let program: &mut BtfTracePoint = program(&mut ebpf, hook)?;
        links.push((hook, program.attach().map_err(refused)?));
    }
    Ok(Loaded { ebpf, links })
}

/// A program of the object, as the type it is.
pub(super) fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, KernelError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = aya::programs::ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or_else(|| KernelError::Refused(anyhow::anyhow!("the object has no program {name}")))?
        .try_into()
        .map_err(refused)
}

/// Distinguishes "not allowed" from all else.
pub(super) fn refused<E: std::error::Error + Send + Sync + 'static>(error: E) -> KernelError {
    let error = anyhow::Error::new(error);
    let denied = error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied)
    });
    if denied {
        return not_allowed(false);
    }
    // The verifier does not know a helper that reads kernel memory then, and calls that invalid.
    if Privileges::now().is_ok_and(|own| own.locked_down) {
        return KernelError::NotAllowed(PrivilegeError::LockedDown);
    }
    // A verifier's log has thousands of lines.
    for line in format!("{error:#}").lines() {
        tracing::debug!("the kernel says: {line}");
    }
    KernelError::Refused(error)
}

fn not_allowed(charges_memlock: bool) -> KernelError {
    let why = Privileges::now().map_or(PrivilegeError::Forbidden, |own| own.why_refused(charges_memlock));
    KernelError::NotAllowed(why)
}

/// A verifier's log has thousands.
fn first_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().trim_end_matches(':').to_owned()
}

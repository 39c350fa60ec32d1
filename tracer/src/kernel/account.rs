//! The program by which userspace changes what the programs count as of interest. It is attached nowhere, and run here.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use debugtrail_common::interest::accounted;

use crate::ids::CgroupId;

/// `BPF_PROG_TEST_RUN` of `enum bpf_cmd` (uapi/linux/bpf.h): runs a program once.
const TEST_RUN: libc::c_long = 10;
/// How often a removal is tried while another CPU stands on the map at that place.
const TRIES: usize = 100;

/// The part of `union bpf_attr` that it uses.
#[repr(C)]
#[derive(Default)]
struct Run {
    program: u32,
    result: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
}

/// The program.
#[derive(Debug)]
pub(super) struct Account(OwnedFd);

impl Account {
    pub(super) fn new(program: OwnedFd) -> Self {
        Self(program)
    }

    /// Adds to the word that counts the entries; it wraps.
    pub(super) fn add(&self, change: u64) -> io::Result<()> {
        self.run([0, change]).map(drop)
    }

    /// Removes a cgroup's entry and what it marks; whether there was one.
    pub(super) fn forget(&self, cgroup: CgroupId) -> io::Result<bool> {
        for _ in 0..TRIES {
            match self.run([cgroup.0, 0])? {
                accounted::BUSY => {}
                result => return Ok(result == accounted::DONE),
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    fn run(&self, context: [u64; 2]) -> io::Result<u32> {
        let mut run = Run {
            program: self.0.as_raw_fd().cast_unsigned(),
            context_size_in: size_of_val(&context) as u32,
            context_in: context.as_ptr() as u64,
            ..Run::default()
        };
        // SAFETY: the attribute is as large as is said, and what it points to outlives the call.
        let done =
            unsafe { libc::syscall(libc::SYS_bpf, TEST_RUN, std::ptr::from_mut(&mut run), size_of::<Run>()) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(run.result) }
    }
}

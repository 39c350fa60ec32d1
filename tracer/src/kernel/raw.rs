//! Map calls for values of which only the running system knows the size: aya's are typed.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use aya::maps::{MapData, MapError};
use aya::sys::SyscallError;
use rustix::fd::AsFd;

const LOOKUP: (libc::c_long, &str) = (1, "bpf_map_lookup_elem");
const UPDATE: (libc::c_long, &str) = (2, "bpf_map_update_elem");
const NEXT_KEY: (libc::c_long, &str) = (4, "bpf_map_get_next_key");

/// The part of `union bpf_attr` (uapi/linux/bpf.h) that element calls use.
#[repr(C)]
struct Element {
    map_fd: u32,
    reserved: u32,
    key: u64,
    /// Or the next key.
    value: u64,
    flags: u64,
}

/// A map with keys of 8 bytes, such as that of cgroups.
#[derive(Debug)]
pub(super) struct RawMap {
    map: MapData,
    value_size: usize,
}

impl RawMap {
    /// `None` where the kernel says other sizes.
    pub(super) fn new(map: MapData, value_size: usize) -> Result<Option<Self>, MapError> {
        let info = map.info()?;
        let alike = info.key_size() as usize == size_of::<u64>() && info.value_size() as usize == value_size;
        Ok(alike.then_some(Self { map, value_size }))
    }

    /// A copy of the value of a key.
    pub(super) fn get(&self, key: u64) -> Result<Option<Vec<u8>>, MapError> {
        let mut value = vec![0; self.value_size];
        let found = self.call(LOOKUP, Some(&key), value.as_mut_ptr() as u64, 0);
        Ok(unless_missing(found)?.map(|()| value))
    }

    /// Adds a key; fails with `EEXIST` where it is there.
    pub(super) fn add(&self, key: u64, value: &[u8]) -> Result<(), MapError> {
        const BPF_NOEXIST: u64 = 1;
        assert_eq!(value.len(), self.value_size, "the kernel reads as much");
        self.call(UPDATE, Some(&key), value.as_ptr() as u64, BPF_NOEXIST)
    }

    /// Every key, once.
    pub(super) fn keys(&self) -> Result<Vec<u64>, MapError> {
        let mut keys = std::collections::BTreeSet::new();
        let (mut last, mut steps) = (None, 4 * u64::from(self.map.info()?.max_entries()));
        // A key that goes away while the kernel stands on it makes it begin anew.
        while let Some(key) = self.next(last.as_ref())?.filter(|_| steps > 0) {
            keys.insert(key);
            (last, steps) = (Some(key), steps - 1);
        }
        Ok(keys.into_iter().collect())
    }

    fn next(&self, key: Option<&u64>) -> Result<Option<u64>, MapError> {
        let mut next = 0_u64;
        let found = self.call(NEXT_KEY, key, std::ptr::from_mut(&mut next) as u64, 0);
        Ok(unless_missing(found)?.map(|()| next))
    }

    fn call(
        &self,
        (command, name): (libc::c_long, &'static str),
        key: Option<&u64>,
        value: u64,
        flags: u64,
    ) -> Result<(), MapError> {
        let fd: BorrowedFd<'_> = self.map.fd().as_fd();
        let map_fd = fd.as_raw_fd().cast_unsigned();
        let key = key.map_or(std::ptr::null(), std::ptr::from_ref) as u64;
        let element = Element { map_fd, reserved: 0, key, value, flags };
        // SAFETY: the attribute is as large as is said, and what it points to is as large as the map's keys and values,
        // which `new` checked.
        let result = unsafe {
            libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(&element), size_of::<Element>())
        };
        if result < 0 {
            return Err(SyscallError { call: name, io_error: io::Error::last_os_error() }.into());
        }
        Ok(())
    }
}

fn unless_missing(result: Result<(), MapError>) -> Result<Option<()>, MapError> {
    match result {
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        result => result.map(Some),
    }
}

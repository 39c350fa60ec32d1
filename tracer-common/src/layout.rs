//! What lies where in the maps and in the ring, as text beside them: pinned maps outlive the debugtrail that made them, and
//! the next one may have other structures. It reads by these names.
//!
//! A field added to a structure is added to its table here; a test fails where one is missing.

use core::mem::{MaybeUninit, offset_of};

use crate::cgroup::CgroupEntry;
use crate::event::{CgroupChanged, EventKind, Executed, MemberEnded};
use crate::loss::Loss;
use crate::signal::SignalSent;

/// Version of what the names below mean. A field that moves, comes or goes needs no new one.
pub const WIRE: u32 = if cfg!(feature = "other-layout") { 2 } else { 1 };

/// A field of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its path in the structure, such as `main.tgid`.
    pub name: &'static str,
    /// Bytes before it.
    pub offset: usize,
    /// Its own bytes.
    pub size: usize,
}

/// A structure.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// What it is called.
    pub name: &'static str,
    /// Its bytes.
    pub size: usize,
    /// Its fields, those named `reserved` left out.
    pub fields: &'static [Field],
}

const fn size_of_pointee<T>(_: *const T) -> usize {
    size_of::<T>()
}

macro_rules! shape {
    ($name:literal: $type:ty { $($first:ident $(. $rest:ident)*),* $(,)? }) => {
        Shape {
            name: $name,
            size: size_of::<$type>(),
            fields: &[$(Field {
                name: concat!(stringify!($first) $(, ".", stringify!($rest))*),
                offset: offset_of!($type, $first $(. $rest)*),
                size: {
                    let value = MaybeUninit::<$type>::uninit();
                    // SAFETY: a place inside the value, of which only the address is taken.
                    size_of_pointee(unsafe { &raw const (*value.as_ptr()).$first $(. $rest)* })
                },
            }),*],
        }
    };
}

/// Every structure.
pub const SHAPES: &[Shape] = &[
    shape!("cgroup_entry": CgroupEntry {
        steps.created, steps.entered, steps.main_started, steps.main_scanned, steps.main_ended, steps.end_late,
        steps.oom_victim, steps.removed, steps.main_freed,
        scan_main_tgid, path_len, mark, created_boot_ns, removed_boot_ns,
        main.tgid, main.tgid_in_container, main.start_boot_ns, main.exec_boot_ns, main.parent_tgid,
        main.mount_namespace, main.comm, main.exe.len, main.exe.ending, main.exe.names,
        end.boot_ns, end.wait_status, end.seal,
        signals,
        last.start_boot_ns, last.end.boot_ns, last.end.wait_status, last.end.seal, last.tgid,
        counts.members, counts.members_ended, counts.entered, counts.left, counts.runtime,
        counts.made, counts.unkept,
        main_usage.processes, main_usage.cpu_ns, main_usage.minor_faults, main_usage.major_faults, main_max_rss_pages,
        members_usage.processes, members_usage.cpu_ns, members_usage.minor_faults, members_usage.major_faults,
        path,
    }),
    shape!("signal_sent": SignalSent {
        boot_ns, sender_start_boot_ns, sender_cgroup_id, sender_parent_start_boot_ns, sender_tgid, sender_parent_tgid,
        sender_state, signal, origin, code, syscall, sender_comm,
    }),
    shape!("cgroup_changed": CgroupChanged { kind, cgroup_id }),
    shape!("member_ended": MemberEnded {
        kind, tgid, cgroup_id, start_boot_ns, end_boot_ns, wait_status, tgid_in_container, since_boot_ns, parent_tgid,
        origin, left, late, max_rss_pages, comm,
    }),
    shape!("executed": Executed {
        kind, tgid, cgroup_id, start_boot_ns, exec_boot_ns, exe_len, exe_ending, args_len, args_full_len, data,
    }),
];

/// Events and the structure that each has.
pub const EVENTS: &[(&str, u32, &str)] = &[
    ("cgroup_created", EventKind::CgroupCreated as u32, "cgroup_changed"),
    ("main_started", EventKind::MainStarted as u32, "cgroup_changed"),
    ("main_ended", EventKind::MainEnded as u32, "cgroup_changed"),
    ("cgroup_removed", EventKind::CgroupRemoved as u32, "cgroup_changed"),
    ("member_ended", EventKind::MemberEnded as u32, "member_ended"),
    ("executed", EventKind::Executed as u32, "executed"),
];

/// Kinds of loss, and their places in the map.
pub const LOSSES: &[(&str, u32)] = &[
    ("wakeup", Loss::Wakeup as u32),
    ("member", Loss::Member as u32),
    ("cgroup", Loss::Cgroup as u32),
    ("main", Loss::Main as u32),
    ("membership", Loss::Membership as u32),
    ("exec", Loss::Exec as u32),
];

/// Bytes of [`TEXT`], of which the last ones are spaces.
pub const LEN: usize = 4096;

/// All of the above as a JSON object.
pub const TEXT: [u8; LEN] = text();

/// Name of the read-only map that holds [`TEXT`].
pub const MAP: &str = ".rodata.layout";

struct Writer {
    text: [u8; LEN],
    len: usize,
}

impl Writer {
    const fn push(mut self, words: &str) -> Self {
        let words = words.as_bytes();
        let mut i = 0;
        while i < words.len() {
            self.text[self.len] = words[i];
            self.len += 1;
            i += 1;
        }
        self
    }

    const fn push_number(mut self, number: usize) -> Self {
        let mut power = 1;
        while number / power >= 10 {
            power *= 10;
        }
        while power > 0 {
            self.text[self.len] = b'0' + (number / power % 10) as u8;
            self.len += 1;
            power /= 10;
        }
        self
    }

    /// `"name":`, after a comma where it is not the first.
    const fn push_name(self, i: usize, name: &str) -> Self {
        self.push(if i == 0 { "\"" } else { ",\"" }).push(name).push("\":")
    }
}

const fn text() -> [u8; LEN] {
    let mut out = Writer { text: [b' '; LEN], len: 0 }.push("{\"wire\":").push_number(WIRE as usize);
    out = out.push(",\"shapes\":{");
    let mut i = 0;
    while i < SHAPES.len() {
        out = shape_text(out.push_name(i, SHAPES[i].name), &SHAPES[i]);
        i += 1;
    }
    out = out.push("},\"events\":{");
    i = 0;
    while i < EVENTS.len() {
        let (name, kind, shape) = EVENTS[i];
        out = out.push_name(i, name).push("[").push_number(kind as usize).push(",\"").push(shape).push("\"]");
        i += 1;
    }
    out = out.push("},\"losses\":{");
    i = 0;
    while i < LOSSES.len() {
        out = out.push_name(i, LOSSES[i].0).push_number(LOSSES[i].1 as usize);
        i += 1;
    }
    out.push("}}").text
}

const fn shape_text(mut out: Writer, shape: &Shape) -> Writer {
    out = out.push("{\"size\":").push_number(shape.size).push(",\"fields\":{");
    let mut i = 0;
    while i < shape.fields.len() {
        let field = &shape.fields[i];
        out = out.push_name(i, field.name).push("[").push_number(field.offset);
        out = out.push(",").push_number(field.size).push("]");
        i += 1;
    }
    out.push("}}")
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// What the structures have besides: named padding.
    const RESERVED: [(&str, usize); 5] = [
        ("cgroup_entry", 19),
        ("signal_sent", 4),
        ("cgroup_changed", 4),
        ("member_ended", 1),
        ("executed", 0),
    ];

    #[test]
    fn every_field_is_in_its_table() {
        for (shape, (name, reserved)) in SHAPES.iter().zip(RESERVED) {
            assert_eq!(shape.name, name);
            let named: usize = shape.fields.iter().map(|field| field.size).sum();
            assert_eq!(named + reserved, shape.size, "{name}: a field is not in its table, or there twice");
        }
    }

    #[test]
    fn the_text_has_every_field() {
        let text = std::str::from_utf8(&TEXT).unwrap().trim_end();
        assert!(text.starts_with("{\"wire\":1,\"shapes\":{\"cgroup_entry\":{\"size\":"), "{text}");
        assert!(text.contains("\"fields\":{\"steps.created\":[0,1],\"steps.entered\":[1,1],"), "{text}");
        assert!(text.ends_with(
            "\"losses\":{\"wakeup\":0,\"member\":1,\"cgroup\":2,\"main\":3,\"membership\":4,\"exec\":5}}"
        ));
        assert!(text.contains("\"member_ended\":[5,\"member_ended\"]"), "{text}");
        assert_eq!(EVENTS.len(), 6, "an event is missing");
        assert_eq!(LOSSES.len(), Loss::ALL.len(), "a loss is missing");
    }
}

//! On a kernel that lacks something, or with something not mounted.

use super::run::{BTF, Ended, Place, text};

/// With a node given, `trace` begins without an API server.
const TRACE: [&str; 3] = ["trace", "--node", "somewhere"];

#[test]
fn no_btf() {
    let place = Place::new();
    let ended = Ended::of(place.after("mount -t tmpfs none /sys/kernel/btf", &TRACE));
    ended.complains(4, &["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"]);
}

#[test]
fn missing_parts_of_an_older_kernel_are_named() {
    let place = Place::new();
    let older = place.file("btf", without(&["btf_trace_cgroup_mkdir", "start_boottime"]));
    let ended = Ended::of(place.after(&format!("mount --bind {} {BTF}", text(&older)), &TRACE));
    ended.complains(4, &["tracepoint cgroup_mkdir", "field task_struct.start_boottime", "5.10 or later"]);
}

#[test]
fn no_cgroup2_mount() {
    let place = Place::new();
    let ended = Ended::of(place.after(UNMOUNT_CGROUP2, &TRACE));
    ended.complains(4, &["no cgroup v2 hierarchy is mounted", "mount -t cgroup2"]);
}

/// The kernel's types, without these names.
pub fn without(names: &[&str]) -> Vec<u8> {
    let mut btf = std::fs::read(BTF).expect("the kernel tier needs BTF");
    for name in names {
        let whole = [b"\0", name.as_bytes(), b"\0"].concat();
        let found = btf.windows(whole.len()).position(|window| window == whole);
        btf[found.expect("this kernel has it") + 1] = b'_';
    }
    btf
}

/// Every one of them: a cluster beside us may have its own.
pub const UNMOUNT_CGROUP2: &str = r#"
while read -r _ _ _ _ point rest; do
    case "$rest" in *" - cgroup2 "*) umount --lazy "$point";; esac
done < /proc/self/mountinfo"#;

//! Without root, and with one capability less.

use debugtrail::kernel::{btf::Btf, needs};

use super::run::{BTF, Ended, Place, check};

const NEEDED: &str = "+bpf,+perfmon,+sys_ptrace,+dac_read_search";

/// What a container of an older system has.
const KIB_64: u64 = 64 << 10;

#[test]
fn an_unprivileged_user_gets_the_hint_to_use_root() {
    let place = Place::new();
    Ended::of(place.as_nobody("", &["trace"]))
        .complains(3, &["needs root", "CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE"]);
}

#[test]
fn four_capabilities_suffice_and_a_missing_one_is_named() {
    let place = Place::new();
    // It gets as far as the API server, which is away.
    Ended::of(place.as_nobody(NEEDED, &["trace"])).complains(5, &["cannot reach the API server"]);
    for missing in ["bpf", "perfmon", "sys_ptrace", "dac_read_search"] {
        let rest: Vec<&str> = NEEDED.split(',').filter(|one| one[1..] != *missing).collect();
        let ended = Ended::of(place.as_nobody(&rest.join(","), &["trace"]));
        ended.complains(3, &[&format!("CAP_{} is missing", missing.to_uppercase())]);
    }
}

/// The overlays' promise: what `least-privilege` asks for, and where maps count as locked memory one more.
#[test]
fn a_small_memlock_limit_suffices_with_the_overlays_rights() {
    let types = std::fs::read(BTF).expect("the kernel's types");
    let charged = needs::charges_memlock(&Btf::parse(&types).expect("the kernel's types are read"));
    let capabilities = if charged { &format!("{NEEDED},+sys_resource") } else { NEEDED };
    let place = Place::new();
    // `trace` would ask the API server first, which is away.
    let programs = |capabilities: &str| {
        let doctor = ["doctor", "--output", "json"];
        let report = Ended::of(place.as_nobody_with_memlock(KIB_64, capabilities, &doctor)).report();
        check(&report, "programs").clone()
    };
    let allowed = programs(capabilities);
    assert_eq!(allowed["level"], "ok", "{allowed:#}");
    if charged {
        let refused = programs(NEEDED);
        let what = refused["what"].as_str().unwrap_or_default();
        assert!(what.contains("64 KiB are allowed"), "{refused:#}");
        let hint = refused["hint"].as_str().unwrap_or_default();
        assert!(hint.contains("CAP_SYS_RESOURCE"), "{refused:#}");
    }
}

#[test]
fn root_without_capabilities_gets_their_names() {
    let place = Place::new();
    // CAP_SYS_ADMIN includes both.
    let wrapper = ["setpriv", "--bounding-set=-sys_admin,-bpf,-perfmon"];
    let ended = Ended::of(place.through(&wrapper, &["trace"]));
    ended.complains(3, &["CAP_BPF and CAP_PERFMON are missing"]);
}

#[test]
fn root_of_a_user_namespace_is_refused_with_the_reason() {
    let place = Place::new();
    let wrapper = ["unshare", "--user", "--map-root-user"];
    Ended::of(place.through(&wrapper, &["trace"])).complains(3, &["user namespace"]);
}

#[test]
fn a_kernel_that_is_locked_down_is_named() {
    let place = Place::new();
    let lockdown = "mount -t tmpfs none /sys/kernel && mkdir /sys/kernel/security
        echo 'none integrity [confidentiality]' > /sys/kernel/security/lockdown";
    let ended = Ended::of(place.after(lockdown, &["trace", "--node", "somewhere"]));
    ended.complains(3, &["locked down", "confidentiality", "lockdown=integrity"]);
}

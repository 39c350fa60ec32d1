//! What lies where in the maps and the ring of a generation of programs, which may be another version's. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use debugtrail_common::{cgroup::CgroupEntry, layout, signal::SIGNALS};
use serde::Deserialize;

const ENTRY: &str = "cgroup_entry";
const SIGNAL: &str = "signal_sent";
const SIGNALS_FIELD: &str = "signals";

/// Fields without which no end can be reported. Any other field that is missing reads as zeros, which mean
/// "not known".
const REQUIRED: [&str; 13] = [
    "steps.created",
    "steps.entered",
    "steps.main_started",
    "steps.main_scanned",
    "steps.main_ended",
    "steps.end_late",
    "steps.removed",
    "created_boot_ns",
    "main.tgid",
    "main.start_boot_ns",
    "main.exec_boot_ns",
    "end.boot_ns",
    "end.wait_status",
];

/// The description that is pinned beside the maps; see `debugtrail_common::layout`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Layout {
    /// The wire version.
    pub wire: u32,
    shapes: BTreeMap<String, Shape>,
    events: BTreeMap<String, (u32, String)>,
    losses: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Shape {
    size: usize,
    fields: BTreeMap<String, (usize, usize)>,
}

impl Layout {
    /// This debugtrail's own.
    #[must_use]
    pub fn own() -> Self {
        Self::parse(&layout::TEXT).unwrap_or_else(|why| unreachable!("our own layout: {why}"))
    }

    /// Reads a description.
    ///
    /// # Errors
    ///
    /// Why nothing can be read by it, in words.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let layout: Self = serde_json::from_slice(text.trim_ascii()).map_err(|error| error.to_string())?;
        for (name, shape) in &layout.shapes {
            let outside = |(offset, size): &(usize, usize)| {
                offset.checked_add(*size).is_none_or(|end| end > shape.size)
            };
            if let Some((field, _)) = shape.fields.iter().find(|(_, place)| outside(place)) {
                return Err(format!("its {field} does not lie within {name}"));
            }
        }
        let entry = layout.shapes.get(ENTRY).ok_or("it describes no entry of a cgroup")?;
        let missing = REQUIRED.into_iter().chain(["path"]).find(|field| !entry.fields.contains_key(*field));
        missing.map_or(Ok(()), |field| Err(format!("its entries have no {field}")))?;
        Ok(layout)
    }

    /// Bytes of an entry.
    pub(super) fn entry_size(&self) -> usize {
        self.shapes.get(ENTRY).map_or(0, |shape| shape.size)
    }

    /// The place of a kind of loss in the map of counters; `None` where this version counts none.
    pub(super) fn loss(&self, name: &str) -> Option<u32> {
        self.losses.get(name).copied()
    }
}

/// From one layout to another.
#[derive(Clone, Debug)]
pub(super) struct Translation {
    from: Layout,
    to: Layout,
}

impl Translation {
    pub(super) fn new(from: Layout, to: Layout) -> Self {
        Self { from, to }
    }

    /// An entry's bytes in the other layout.
    pub(super) fn entry(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0; self.to.entry_size()];
        if let (Some(from), Some(to)) = (self.from.shapes.get(ENTRY), self.to.shapes.get(ENTRY)) {
            translate(from, bytes, to, &mut out, |name| name != SIGNALS_FIELD);
            self.signals(from, bytes, to, &mut out);
        }
        out
    }

    /// Those of an array within, as far as both have room.
    fn signals(&self, from: &Shape, bytes: &[u8], to: &Shape, out: &mut [u8]) {
        let place = |shape: &Shape| shape.fields.get(SIGNALS_FIELD).copied();
        let (Some((at, len)), Some((to_at, to_len))) = (place(from), place(to)) else { return };
        let (Some(one), Some(other)) = (self.from.shapes.get(SIGNAL), self.to.shapes.get(SIGNAL)) else {
            return;
        };
        let old = bytes.get(at..at + len).unwrap_or_default().chunks_exact(one.size.max(1));
        let new = out[to_at..to_at + to_len].chunks_exact_mut(other.size.max(1));
        for (old, new) in old.zip(new).take(SIGNALS) {
            translate(one, old, other, new, |_| true);
        }
    }

    /// An event in the other layout; `None` where that knows none of this kind.
    pub(super) fn event<'a>(&self, bytes: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if self.from == self.to {
            return Some(Cow::Borrowed(bytes));
        }
        let kind = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
        let (name, (_, shape)) = self.from.events.iter().find(|(_, (number, _))| *number == kind)?;
        let (number, to_shape) = self.to.events.get(name)?;
        let (from, to) = (self.from.shapes.get(shape)?, self.to.shapes.get(to_shape)?);
        let mut out = vec![0; to.size];
        translate(from, bytes, to, &mut out, |_| true);
        out.get_mut(..4)?.copy_from_slice(&number.to_ne_bytes());
        Some(Cow::Owned(out))
    }
}

fn translate(from: &Shape, bytes: &[u8], to: &Shape, out: &mut [u8], wanted: impl Fn(&str) -> bool) {
    for (name, (to_at, to_len)) in to.fields.iter().filter(|(name, _)| wanted(name)) {
        let Some((at, len)) = from.fields.get(name) else { continue };
        // The last field of an event may be as long as it needs to be.
        let Some(value) = bytes.get(*at..(at + len).min(bytes.len())) else { continue };
        // What does not fit is not known, unless nothing of it is lost (a longer array, a wider number: little-endian).
        let (kept, rest) = value.split_at((*to_len).min(value.len()));
        if rest.iter().all(|byte| *byte == 0) {
            out[*to_at..to_at + kept.len()].copy_from_slice(kept);
        }
    }
}

/// An entry, from bytes in our own layout.
pub(super) fn entry_of(bytes: &[u8]) -> Option<CgroupEntry> {
    let whole = bytes.len() == size_of::<CgroupEntry>();
    // SAFETY: as many bytes as the type has, any of which are a valid value (it is `aya::Pod`).
    whole.then(|| unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
}

/// The bytes of an entry in our own layout.
pub(super) fn bytes_of(entry: &CgroupEntry) -> &[u8] {
    // SAFETY: the type has no implicit padding, so that all its bytes are initialised; they live as long as the entry.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(entry).cast(), size_of::<CgroupEntry>()) }
}

#[cfg(test)]
mod tests {
    use debugtrail_common::cgroup::{End, Steps};
    use debugtrail_common::signal::SignalSent;

    use super::*;
    use crate::kernel::event::{Event, parse};

    /// As another version might have it: everything elsewhere, a number wider, the end before the main process.
    fn other() -> Layout {
        let mut own: serde_json::Value = serde_json::from_slice(layout::TEXT.trim_ascii()).unwrap();
        own["wire"] = 9.into();
        for shape in own["shapes"].as_object_mut().unwrap().values_mut() {
            let mut at = 24;
            for (name, place) in shape["fields"].as_object_mut().unwrap().iter_mut().rev() {
                // Of signals that are laid out anew as well.
                let signals = (SIGNALS * (24 + size_of::<SignalSent>())) as u64;
                let size = if name == SIGNALS_FIELD { signals } else { place[1].as_u64().unwrap() };
                *place = serde_json::json!([at, size]);
                at += size;
            }
            shape["size"] = at.into();
        }
        for (shape, field) in [("cgroup_changed", "kind"), ("member_ended", "kind")] {
            own["shapes"][shape]["fields"][field] = serde_json::json!([0, 4]);
        }
        own["events"]["member_ended"][0] = 77.into();
        serde_json::from_value(own).unwrap()
    }

    fn lacking(field: &str) -> Layout {
        let mut layout = other();
        layout.shapes.get_mut(ENTRY).unwrap().fields.remove(field).unwrap();
        layout
    }

    fn entry() -> CgroupEntry {
        let mut entry = CgroupEntry {
            steps: Steps { created: 1, main_started: 1, main_ended: 1, ..Steps::default() },
            created_boot_ns: 10,
            end: End { boot_ns: 90, wait_status: 42 << 8, ..End::default() },
            ..CgroupEntry::EMPTY
        };
        (entry.main.tgid, entry.main.exec_boot_ns) = (4242, 50);
        entry.path[..4].copy_from_slice(b"/a/b");
        entry.main.comm[..2].copy_from_slice(b"sh");
        entry.signals[7] = SignalSent { boot_ns: 80, signal: 9, sender_tgid: 7, ..SignalSent::NONE };
        entry
    }

    #[test]
    fn an_entry_survives_the_way_there_and_back() {
        let (own, other) = (Layout::own(), other());
        let there = Translation::new(own.clone(), other.clone()).entry(bytes_of(&entry()));
        assert_eq!(there.len(), other.entry_size());
        assert_ne!(there, bytes_of(&entry()));
        let back = Translation::new(other, own).entry(&there);
        assert!(entry_of(&back) == Some(entry()));
    }

    #[test]
    fn a_field_that_is_missing_is_not_known() {
        let other = lacking("main.comm");
        let there = Translation::new(Layout::own(), other.clone()).entry(bytes_of(&entry()));
        let back = Translation::new(other, Layout::own()).entry(&there);
        let mut expected = entry();
        expected.main.comm = CgroupEntry::EMPTY.main.comm;
        assert!(entry_of(&back) == Some(expected));
    }

    #[test]
    fn an_event_is_found_by_its_name() {
        let (own, other) = (Layout::own(), other());
        let words = [5_u32, 4242, 77, 0, 1000, 0, 3000, 0, 42 << 8, 31, 1500, 0, 4000, 1, 250, 0, 0, 0, 0, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let expected = parse(&bytes);
        assert!(matches!(expected, Some(Event::MemberEnded(_))), "{expected:?}");
        let there = Translation::new(own.clone(), other.clone()).event(&bytes).unwrap().into_owned();
        assert_eq!(there[..4], 77_u32.to_ne_bytes());
        let back = Translation::new(other.clone(), own.clone()).event(&there).unwrap().into_owned();
        assert_eq!(parse(&back), expected);
        let unknown = Translation::new(other, own);
        assert_eq!(unknown.event(&5_u32.to_ne_bytes()), None);
        assert_eq!(unknown.event(&[1]), None);
    }

    #[test]
    fn an_unusable_layout_is_refused_with_a_reason() {
        let reason = |text: &str| Layout::parse(text.as_bytes()).unwrap_err();
        assert!(reason("nonsense").contains("expected"), "{}", reason("nonsense"));
        let none = r#"{"wire":3,"shapes":{},"events":{},"losses":{}}"#;
        assert_eq!(reason(none), "it describes no entry of a cgroup");
        let outside = r#"{"wire":3,"shapes":{"cgroup_entry":{"size":8,"fields":{"path":[4,5]}}},"events":{},"losses":{}}"#;
        assert_eq!(reason(outside), "its path does not lie within cgroup_entry");
        let poor = r#"{"wire":3,"shapes":{"cgroup_entry":{"size":8,"fields":{}}},"events":{},"losses":{}}"#;
        assert_eq!(reason(poor), "its entries have no steps.created");
    }
}

//! Offsets of kernel fields, put into the instructions that read them. Pure.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use debugtrail_common::fields::placed;
use object::elf::SHF_EXECINSTR;
use object::{Object, ObjectSection, SectionFlags};

/// Bytes of an instruction.
const INSTRUCTION: usize = 8;
/// `BPF_LDX | BPF_MEM` of 4, 2, 1 and 8 bytes: a load at an offset.
const LOADS: [u8; 4] = [0x61, 0x69, 0x71, 0x79];
/// `BPF_LD | BPF_IMM | BPF_DW`: its number takes a second instruction's place.
const LOAD_NUMBER: u8 = 0x18;

/// The object with every marker replaced by the offset that the running kernel has the field at.
///
/// # Errors
///
/// No ELF, a marker of no field, or a field that lies too far.
pub(super) fn place(object: &[u8], offsets: &[(&'static str, u32)]) -> Result<Vec<u8>> {
    let offset_of: HashMap<_, _> = offsets.iter().copied().collect();
    let mut offsets = HashMap::new();
    for (name, marker) in placed::FIELDS {
        let offset = offset_of.get(name).with_context(|| format!("the offset of {name} is not known"))?;
        let offset = i16::try_from(*offset).with_context(|| format!("{name} lies at {offset}"))?;
        offsets.insert(marker, offset);
    }
    let mut placed = object.to_vec();
    for range in programs(object)? {
        let code = placed.get_mut(range).context("a section of the object is cut short")?;
        place_in(code, &offsets)?;
    }
    Ok(placed)
}

/// Where instructions stand in an object.
fn programs(object: &[u8]) -> Result<Vec<std::ops::Range<usize>>> {
    let object = object::File::parse(object)?;
    let sections = object.sections().filter(|section| {
        matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags & u64::from(SHF_EXECINSTR) != 0)
    });
    let range = |(start, len): (u64, u64)| Ok(usize::try_from(start)?..usize::try_from(start + len)?);
    sections.filter_map(|section| section.file_range()).map(range).collect()
}

fn place_in(code: &mut [u8], offsets: &HashMap<i16, i16>) -> Result<()> {
    let mut is_number = false;
    for instruction in code.chunks_exact_mut(INSTRUCTION) {
        if std::mem::take(&mut is_number) {
            continue;
        }
        is_number = instruction[0] == LOAD_NUMBER;
        let marker = i16::from_le_bytes([instruction[2], instruction[3]]);
        if !LOADS.contains(&instruction[0]) || marker < placed::FIRST {
            continue;
        }
        let offset = offsets.get(&marker);
        ensure!(offset.is_some(), "an instruction reads at the offset {marker}, which is no field's marker");
        instruction[2..4].copy_from_slice(&offset.copied().unwrap_or_default().to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_gives_way_to_the_offset() {
        let mut code = [
            [0x79, 0x12, 0x00, 0x7f, 0, 0, 0, 0], // r2 = *(u64 *)(r1 + marker)
            [0x18, 0x02, 0, 0, 1, 0, 0, 0],       // r2 = a number,
            [0x79, 0x12, 0x00, 0x7f, 0, 0, 0, 0], // which looks like the first
            [0x7b, 0x12, 0x00, 0x7f, 0, 0, 0, 0], // a store
            [0x79, 0x12, 0x10, 0x00, 0, 0, 0, 0], // a small offset
        ];
        let before = code;
        place_in(code.as_flattened_mut(), &[(placed::FIRST, 0x948)].into()).unwrap();
        assert_eq!(code[0], [0x79, 0x12, 0x48, 0x09, 0, 0, 0, 0]);
        assert_eq!(code[1..], before[1..]);
    }

    #[test]
    fn a_marker_of_no_field_is_refused() {
        let mut code = [0x79, 0x12, 0x04, 0x7f, 0, 0, 0, 0];
        assert!(place_in(&mut code, &[(placed::FIRST, 8)].into()).is_err());
    }

    #[test]
    fn the_object_reads_each_field() {
        let own = super::super::load::Object::own();
        let offsets = placed::FIELDS.map(|(name, _)| (name, 8));
        let placed = place(own.bytes(), &offsets).unwrap();
        assert_eq!(placed.len(), own.bytes().len());
        let changed = own.bytes().iter().zip(&placed).filter(|(before, after)| before != after).count();
        // Two bytes each, and every field is read somewhere.
        assert!(changed >= 2 * placed::FIELDS.len(), "{changed}");
        assert!(place(own.bytes(), &offsets[1..]).is_err(), "a field without an offset");
        assert!(place(b"no object", &offsets).is_err());
    }
}

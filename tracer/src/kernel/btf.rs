//! The kernel's own description of its types (BTF): where a field lies, how many arguments a
//! tracepoint has. Pure: bytes in, numbers out.
//!
//! Format: Documentation/bpf/btf.rst. Only what is asked for is read: structures, unions and what
//! stands between a tracepoint's typedef and its prototype.

use std::{collections::HashMap, ops::Range};

use bytes::Buf;
use thiserror::Error;

/// Why the kernel's BTF could not be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    /// Not BTF, or cut short.
    #[error("the kernel's BTF is malformed: {0}")]
    Malformed(&'static str),
    /// The running kernel lacks a field that the programs read.
    #[error("this kernel has no field {0}; debugtrail needs 5.10 or later")]
    NoField(String),
    /// The running kernel lacks a tracepoint.
    #[error("this kernel has no tracepoint {0}; debugtrail needs 5.10 or later")]
    NoTracepoint(String),
}

const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: usize = 24;
const TYPE_LEN: usize = 12;

const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// One type: its header, and where what follows it lies in the type section.
#[derive(Clone, Debug)]
struct Type {
    name: u32,
    info: u32,
    size_or_type: u32,
    rest: Range<usize>,
}

impl Type {
    fn kind(&self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    fn len(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// With the kind flag set, a member's offset carries a bit-field's size in its top byte.
    fn has_bit_sizes(&self) -> bool {
        self.info >> 31 != 0
    }
}

/// The types of a kernel.
#[derive(Debug)]
pub struct Btf {
    types: Vec<Type>,
    section: Vec<u8>,
    strings: Vec<u8>,
    by_name: HashMap<(u32, String), usize>,
}

impl Btf {
    /// Parses the content of `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    ///
    /// [`BtfError::Malformed`] where it is not BTF.
    pub fn parse(bytes: &[u8]) -> Result<Self, BtfError> {
        let (section, strings) = sections(bytes)?;
        let mut btf = Self {
            types: vec![Type { name: 0, info: 0, size_or_type: 0, rest: 0..0 }],
            section: section.to_vec(),
            strings: strings.to_vec(),
            by_name: HashMap::new(),
        };
        let mut at = 0;
        while at < btf.section.len() {
            at = btf.read_type(at)?;
        }
        Ok(btf)
    }

    /// Offset in bytes of a member, also of one inside an unnamed structure or union.
    ///
    /// # Errors
    ///
    /// [`BtfError::NoField`] where the structure or the member does not exist, or is a bit-field.
    pub fn offset(&self, structure: &str, member: &str) -> Result<u32, BtfError> {
        self.by_name
            .get(&(KIND_STRUCT, structure.to_owned()))
            .and_then(|&id| self.member_bits(id, member, 0))
            .filter(|bits| bits % 8 == 0)
            .map(|bits| bits / 8)
            .ok_or_else(|| BtfError::NoField(format!("{structure}.{member}")))
    }

    /// Bytes of a structure.
    #[must_use]
    pub fn size(&self, structure: &str) -> Option<u32> {
        let id = self.by_name.get(&(KIND_STRUCT, structure.to_owned()))?;
        Some(self.types.get(*id)?.size_or_type)
    }

    /// How many arguments a tracepoint passes.
    ///
    /// # Errors
    ///
    /// [`BtfError::NoTracepoint`] where there is none of that name.
    pub fn tracepoint_args(&self, tracepoint: &str) -> Result<usize, BtfError> {
        let prototype = self
            .by_name
            .get(&(KIND_TYPEDEF, format!("btf_trace_{tracepoint}")))
            .and_then(|&id| self.types.get(self.types[id].size_or_type as usize))
            .filter(|pointer| pointer.kind() == KIND_PTR)
            .and_then(|pointer| self.types.get(pointer.size_or_type as usize))
            .filter(|prototype| prototype.kind() == KIND_FUNC_PROTO);
        // The first is the probe's own data.
        prototype
            .map(|prototype| prototype.len().saturating_sub(1))
            .ok_or_else(|| BtfError::NoTracepoint(tracepoint.to_owned()))
    }

    /// Whether the kernel has a function of this name.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.types.iter().any(|function| function.kind() == KIND_FUNC && self.name(function.name) == name)
    }

    fn read_type(&mut self, at: usize) -> Result<usize, BtfError> {
        let mut header =
            self.section.get(at..at + TYPE_LEN).ok_or(BtfError::Malformed("a type is cut short"))?;
        let mut read = Type {
            name: header.get_u32_le(),
            info: header.get_u32_le(),
            size_or_type: header.get_u32_le(),
            rest: 0..0,
        };
        let start = at + TYPE_LEN;
        let end = start + rest_len(read.kind(), read.len());
        if end > self.section.len() {
            return Err(BtfError::Malformed("a type's members are cut short"));
        }
        read.rest = start..end;
        if matches!(read.kind(), KIND_STRUCT | KIND_TYPEDEF) && read.name != 0 {
            let name = self.name(read.name).to_owned();
            self.by_name.entry((read.kind(), name)).or_insert(self.types.len());
        }
        self.types.push(read);
        Ok(end)
    }

    fn name(&self, offset: u32) -> &str {
        let bytes = self.strings.get(offset as usize..).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        std::str::from_utf8(&bytes[..end]).unwrap_or_default()
    }

    /// Bit offset of a member within the structure or union `id`.
    fn member_bits(&self, id: usize, wanted: &str, depth: u8) -> Option<u32> {
        // Unnamed structures nest a few levels deep; a malformed cycle would not end.
        if depth > 8 {
            return None;
        }
        let structure = self.types.get(id)?;
        if !matches!(structure.kind(), KIND_STRUCT | KIND_UNION) {
            return None;
        }
        let mut members = &self.section[structure.rest.clone()];
        while members.len() >= TYPE_LEN {
            let (name, member_type, mut bits) =
                (members.get_u32_le(), members.get_u32_le(), members.get_u32_le());
            if structure.has_bit_sizes() {
                bits &= 0x00ff_ffff;
            }
            if name == 0 {
                let inner = self.member_bits(self.skip_modifiers(member_type), wanted, depth + 1);
                if let Some(inner) = inner {
                    return Some(bits + inner);
                }
            } else if self.name(name) == wanted {
                return Some(bits);
            }
        }
        None
    }

    fn skip_modifiers(&self, mut id: u32) -> usize {
        for _ in 0..16 {
            match self.types.get(id as usize) {
                Some(modifier)
                    if matches!(
                        modifier.kind(),
                        KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG
                    ) =>
                {
                    id = modifier.size_or_type;
                }
                _ => break,
            }
        }
        id as usize
    }
}

/// Splits the blob into its type section and its string section.
fn sections(bytes: &[u8]) -> Result<(&[u8], &[u8]), BtfError> {
    let mut header = bytes.get(..HEADER_LEN).ok_or(BtfError::Malformed("no header"))?;
    if header.get_u16_le() != MAGIC {
        return Err(BtfError::Malformed("wrong magic, or of a big-endian kernel"));
    }
    header.advance(2);
    let header_len = header.get_u32_le() as usize;
    let mut section = |what| {
        let (offset, len) = (header.get_u32_le() as usize, header.get_u32_le() as usize);
        let start = header_len.checked_add(offset).ok_or(BtfError::Malformed(what))?;
        let end = start.checked_add(len).ok_or(BtfError::Malformed(what))?;
        bytes.get(start..end).ok_or(BtfError::Malformed(what))
    };
    Ok((section("types are cut short")?, section("strings are cut short")?))
}

/// Bytes that follow a type of a kind with `len` members.
fn rest_len(kind: u32, len: usize) -> usize {
    match kind {
        KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => 12 * len,
        KIND_ENUM | KIND_FUNC_PROTO => 8 * len,
        _ => 0,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `struct outer { int a; union { long b; struct { int c; int d; }; }; }`,
    /// and a tracepoint `t` with two arguments.
    pub(in crate::kernel) fn sample() -> Vec<u8> {
        let strings = b"\0outer\0a\0b\0c\0d\0btf_trace_t\0";
        let at = |name: &str| {
            let bytes = [b"\0", name.as_bytes(), b"\0"].concat();
            1 + strings.windows(bytes.len()).position(|w| w == bytes).expect("in strings") as u32
        };
        let info = |kind: u32, len: u32| kind << 24 | len;
        let types: Vec<u32> = [
            vec![at("a"), info(KIND_INT, 0), 4, 32],                         // 1
            vec![0, info(KIND_STRUCT, 2), 8, at("c"), 1, 0, at("d"), 1, 32], // 2
            vec![0, info(KIND_UNION, 2), 8, at("b"), 1, 0, 0, 2, 0],         // 3
            vec![at("outer"), info(KIND_STRUCT, 2), 16, at("a"), 1, 0, 0, 3, 64], // 4
            vec![0, info(KIND_FUNC_PROTO, 3), 0, 0, 1, 0, 1, 0, 1],          // 5
            vec![0, info(KIND_PTR, 0), 5],                                   // 6
            vec![at("btf_trace_t"), info(KIND_TYPEDEF, 0), 6],               // 7
            vec![at("outer"), info(KIND_FUNC, 0), 5],                        // 8
        ]
        .concat();
        let mut blob = Vec::new();
        blob.extend(MAGIC.to_le_bytes());
        blob.extend([1, 0]);
        for word in [24, 0, types.len() as u32 * 4, types.len() as u32 * 4, strings.len() as u32] {
            blob.extend(word.to_le_bytes());
        }
        blob.extend(types.iter().flat_map(|word| word.to_le_bytes()));
        blob.extend(strings);
        blob
    }

    #[test]
    fn finds_members_also_inside_unnamed_ones() {
        let btf = Btf::parse(&sample()).unwrap();
        assert_eq!(btf.offset("outer", "a"), Ok(0));
        assert_eq!(btf.offset("outer", "b"), Ok(8));
        assert_eq!(btf.offset("outer", "d"), Ok(12));
    }

    #[test]
    fn names_what_is_missing() {
        let btf = Btf::parse(&sample()).unwrap();
        assert_eq!(btf.offset("outer", "z"), Err(BtfError::NoField("outer.z".into())));
        assert_eq!(btf.offset("inner", "a"), Err(BtfError::NoField("inner.a".into())));
        assert_eq!(btf.tracepoint_args("u"), Err(BtfError::NoTracepoint("u".into())));
    }

    #[test]
    fn counts_a_tracepoints_arguments_without_the_probes_own() {
        assert_eq!(Btf::parse(&sample()).unwrap().tracepoint_args("t"), Ok(2));
    }

    #[test]
    fn a_function_is_known_by_its_name() {
        let btf = Btf::parse(&sample()).unwrap();
        assert!(btf.has_function("outer"));
        assert!(!btf.has_function("btf_trace_t"), "a type is no function");
    }

    #[test]
    fn refuses_what_is_cut_short() {
        let whole = sample();
        for len in 0..whole.len() - 1 {
            assert!(Btf::parse(&whole[..len]).is_err(), "{len} bytes of {}", whole.len());
        }
    }
}

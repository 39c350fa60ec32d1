//! The smallest program there is: it exits with the first byte of its own name. A storm of main processes is to cost
//! the kernel's part and little else.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
/// mov rax, [rsp+8]; movzx edi, byte [rax]; mov eax, 60; syscall
#[cfg(target_arch = "x86_64")]
const CODE: [u8; 15] = [0x48, 0x8b, 0x44, 0x24, 0x08, 0x0f, 0xb6, 0x38, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05];

#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;
/// ldr x0, [sp, #8]; ldrb w0, [x0]; mov x8, #93; svc #0
#[cfg(target_arch = "aarch64")]
const CODE: [u8; 16] =
    [0xe0, 0x07, 0x40, 0xf9, 0x00, 0x00, 0x40, 0x39, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];

const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// Writes it: a static ELF file of one page.
///
/// # Errors
/// When the file can't be written.
pub fn write(path: &Path) -> io::Result<()> {
    let size = HEADERS + CODE.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let halves = |elf: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
    let words = |elf: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
    let longs = |elf: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
    halves(&mut elf, &[2, MACHINE]);
    words(&mut elf, &[1]);
    longs(&mut elf, &[BASE + HEADERS, 64, 0]);
    words(&mut elf, &[0]);
    halves(&mut elf, &[64, 56, 1, 64, 0, 0]);
    // One segment, to be read and executed.
    words(&mut elf, &[1, 5]);
    longs(&mut elf, &[0, BASE, BASE, size, size, 0x1000]);
    elf.extend(CODE);
    fs::write(path, elf)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

//! Strings of the kernel: bytes up to a NUL. Pure.

/// Up to the first NUL; paths and names are bytes to the kernel.
pub(super) fn text(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

//! What the kernel side and userspace share.
#![no_std]

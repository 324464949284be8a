//! How much memory the C library keeps that was given back to it.

/// Every thread gets an arena of its own from glibc, up to eight for each processor, and an
/// arena keeps most of what one of its threads ever needed at once: packing the record, or
/// rendering, on whichever thread that happened to be. Two are enough for an agent that
/// waits most of the time; its memory grows by half as much then. Call it first in `main`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "a setting of the allocator, made before any thread"
)]
pub fn keep_little() {
    // SAFETY: no other thread exists yet, and the value is one that glibc documents.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

/// Other C libraries have no such arenas.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_little() {}

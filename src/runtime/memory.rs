//! How much memory the C library keeps that was given back to it.

/// Makes glibc give back more of what packing the record or rendering takes once. Call it
/// first in `main`.
///
/// By default every thread gets an arena of its own, up to eight for each processor, and
/// each of them keeps most of what one of its threads ever needed at once: two are enough
/// for an agent that waits most of the time. And a large block that is freed makes it keep
/// blocks of that size from then on, unless the size from which on they go back is set
/// (`mallopt(3)`; this is what it begins with). A soak's growth is a third of what it was.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "settings of the allocator, made before any thread"
)]
pub fn keep_little() {
    const LARGE: libc::c_int = 128 * 1024;
    // SAFETY: no other thread exists yet, and the values are ones that glibc documents.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// Other C libraries do none of this.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_little() {}

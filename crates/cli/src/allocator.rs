//! The allocator: jemalloc, with the settings of `.cargo/config.toml`. It has fewer heaps than the system's allocator and
//! gives free memory back.

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bytes of a block that is certainly large in jemalloc's eyes (`oversize_threshold`).
const LARGE: usize = 1 << 20;

/// Starts the thread that gives free memory back, which a process at rest would not do by itself. To be called once, before
/// anything large is allocated.
pub(crate) fn start() {
    // Large blocks have a heap of their own. Made before there is a thread, it gives memory back the moment that it is free; made
    // later, it would leave that to the thread, which looks around ten times a second: too seldom for contents of 1 MiB.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
    // Without it more memory is kept, and nothing else is different.
    let _kept = tikv_jemalloc_ctl::background_thread::write(true);
}

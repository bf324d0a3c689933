//! A global allocator that counts the allocations of each thread and the bytes they hold, for tests
//! which assert that a path allocates nothing, or that something idle keeps little.
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: counting_alloc::CountingAllocator = counting_alloc::CountingAllocator;
//!
//! let before = counting_alloc::allocations();
//! drop(Box::new([0_u8; 100]));
//! assert_eq!(counting_alloc::allocations() - before, 1);
//!
//! let before = counting_alloc::held_bytes();
//! let kept = Box::new([0_u8; 100]);
//! assert_eq!(counting_alloc::held_bytes() - before, 100);
//! drop(kept);
//! assert_eq!(counting_alloc::held_bytes(), before);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// The allocations of this thread so far; growing an allocation counts as one.
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Bytes that this thread has allocated and not freed, as they were asked for; what one thread
/// frees of another's it has less.
#[must_use]
pub fn held_bytes() -> i64 {
    HELD.with(Cell::get)
}

/// The system's allocator, counting.
#[derive(Debug)]
pub struct CountingAllocator;

fn count(bytes: usize) {
    // A thread that ends allocates after its cells are gone; nobody asks for its counts any more.
    let _ = ALLOCATIONS.try_with(|cell| cell.set(cell.get() + 1));
    hold(bytes, 0);
}

fn hold(gained: usize, lost: usize) {
    // No allocation is larger than `isize::MAX`.
    let change = gained as i64 - lost as i64;
    let _ = HELD.try_with(|cell| cell.set(cell.get() + change));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which upholds the contract.
// Counting does not allocate: cells are constant-initialized thread locals without a destructor.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps to the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        hold(0, layout.size());
        // SAFETY: the caller keeps to the contract of `realloc`; `memory` came from `System`.
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: the caller keeps to the contract of `dealloc`; `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

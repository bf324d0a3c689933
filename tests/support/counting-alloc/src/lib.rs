//! A global allocator that counts the allocations of each thread, for tests which assert that a
//! path allocates nothing.
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: counting_alloc::CountingAllocator = counting_alloc::CountingAllocator;
//!
//! let before = counting_alloc::allocations();
//! drop(Box::new([0_u8; 100]));
//! assert_eq!(counting_alloc::allocations() - before, 1);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The allocations of this thread so far; growing an allocation counts as one.
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// The system's allocator, counting.
#[derive(Debug)]
pub struct CountingAllocator;

fn count() {
    // A thread that ends allocates after its cell is gone; nobody asks for its count any more.
    let _ = ALLOCATIONS.try_with(|cell| cell.set(cell.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which upholds the contract.
// Counting does not allocate: the cell is a constant-initialized thread local without a destructor.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the contract of `realloc`; `memory` came from `System`.
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the contract of `dealloc`; `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

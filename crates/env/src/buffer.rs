//! Memory that O_DIRECT accepts: its address and its length are multiples of 4 KiB. Safe code only: the vector is one
//! block larger than asked and the aligned part of it is used.

/// What O_DIRECT, and every group of the journal, is aligned to.
pub const BLOCK: usize = 4096;

/// A zeroed buffer whose address and capacity are multiples of [`BLOCK`].
pub struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
    capacity: usize,
}

impl AlignedBuffer {
    /// `capacity` is rounded up to whole blocks.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.next_multiple_of(BLOCK);
        let memory = vec![0; capacity + BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK);
        assert!(start < BLOCK, "the allocator gave an address that cannot be aligned");
        Self { memory, start, capacity }
    }
}

impl std::ops::Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.capacity]
    }
}

impl std::ops::DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.capacity]
    }
}

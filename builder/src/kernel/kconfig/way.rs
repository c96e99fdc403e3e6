//! What is assumed of a compiler that is not run.

/// One way in which the compiler may answer the macros that only it can answer. The first passes each test, the second
/// none, and the others are mixed; each is always the same, so that a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way(pub(super) usize);

impl Way {
    /// A compiler that passes each test.
    pub(super) const USUAL: Self = Self(0);

    /// The answer to a macro, or to a comparison with what it gives.
    pub(super) fn passes(self, number: usize, compared: &str) -> bool {
        match self.0 {
            0 => true,
            1 => false,
            // Steps of FNV-1a and the finalizer of SplitMix64.
            way => {
                let step = |bits: u64, byte: u8| (bits ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                let mut bits = compared.bytes().fold((way as u64) << 32 | number as u64, step);
                for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
                    bits = (bits ^ bits >> shift).wrapping_mul(factor);
                }
                (bits >> 31) & 1 == 1
            }
        }
    }
}

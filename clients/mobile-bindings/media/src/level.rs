//! How loud a block is.

/// Root mean square of int16 samples, dB of full scale; -inf for digital silence and for nothing.
#[must_use]
pub fn level_db(samples: &[i16]) -> f64 {
    let squares: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let mean = squares / samples.len().max(1) as f64;
    10.0 * (mean / 32_768_f64.powi(2)).log10()
}

#[cfg(test)]
mod tests {
    use super::level_db;

    #[test]
    fn full_scale_is_0_db_and_half_of_it_6_less() {
        assert!(level_db(&[i16::MIN; 100]).abs() < 1e-9);
        assert!((level_db(&[16_384, -16_384]) + 6.02).abs() < 0.01);
        for silence in [&[0; 10][..], &[]] {
            assert!(level_db(silence).is_infinite() && level_db(silence) < 0.0);
        }
    }
}

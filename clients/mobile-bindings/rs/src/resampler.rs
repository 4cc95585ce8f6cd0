//! Sound at another rate: a windowed sinc.

use std::f64::consts::PI;

/// Zero crossings of the sinc on either side.
const CROSSINGS: f64 = 16.0;

/// Samples (-1 to 1) at `from` Hz as int16 at `to` Hz. What the lower rate cannot carry is left out.
pub(crate) fn resample(samples: &[f32], from: u32, to: u32) -> Vec<i16> {
    if from == to {
        return samples.iter().map(|sample| int16(f64::from(*sample))).collect();
    }
    let step = f64::from(from) / f64::from(to);
    // Below the lower of both Nyquist rates, as a share of that of the input.
    let cutoff = (1.0 / step).min(1.0) * 0.95;
    let reach = CROSSINGS / cutoff;
    let count = (samples.len() as u64 * u64::from(to)).div_ceil(u64::from(from));
    let value = |at: u64| {
        let center = at as f64 * step;
        let first = (center - reach).ceil().max(0.0) as usize;
        let last = ((center + reach).floor() as usize).min(samples.len().saturating_sub(1));
        let near = samples.get(first..=last).unwrap_or_default();
        let sum: f64 = near
            .iter()
            .zip(first..)
            .map(|(sample, place)| {
                f64::from(*sample) * kernel(place as f64 - center, cutoff, reach)
            })
            .sum();
        int16(sum)
    };
    (0..count).map(value).collect()
}

/// A sinc of that cutoff under a Hann window of that reach.
fn kernel(distance: f64, cutoff: f64, reach: f64) -> f64 {
    let phase = PI * cutoff * distance;
    let sinc = if phase.abs() < 1e-9 { 1.0 } else { phase.sin() / phase };
    cutoff * sinc * (0.5 + 0.5 * (PI * distance / reach).cos())
}

fn int16(sample: f64) -> i16 {
    (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::resample;

    fn tone(hz: f64, rate: u32) -> Vec<f32> {
        let sample = |at: u32| (TAU * hz * f64::from(at) / f64::from(rate)).sin() as f32 * 0.5;
        (0..rate / 2).map(sample).collect()
    }

    fn error_of(from: u32) -> i32 {
        let there = resample(&tone(440.0, from), from, 16_000);
        let wanted = resample(&tone(440.0, 16_000), 16_000, 16_000);
        let pairs = there.iter().zip(&wanted).skip(200).take(7000);
        pairs.map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max().unwrap()
    }

    #[test]
    fn a_tone_keeps_its_place_and_its_strength() {
        for from in [8000, 22_050, 44_100, 48_000] {
            assert!(error_of(from) < 150, "{from} Hz: {}", error_of(from));
        }
    }

    #[test]
    fn nothing_goes_through_that_the_lower_rate_cannot_carry() {
        let there = resample(&tone(11_000.0, 48_000), 48_000, 16_000);
        assert!(there[200..7000].iter().all(|sample| sample.unsigned_abs() < 200));
    }
}

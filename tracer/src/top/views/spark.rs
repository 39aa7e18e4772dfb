//! Curves and bars of one line.

/// Eighths of a line.
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A curve of `values`, the newest at the right end; `all` values would fill the width.
pub(super) fn curve(values: &[u32], all: usize, width: usize) -> String {
    if width == 0 {
        return String::new();
    }
    let step = all.div_ceil(width).max(1);
    // From the newest value on, so that it is always in a step of its own.
    let mut peaks: Vec<u32> = values
        .rchunks(step)
        .take(width)
        .map(|chunk| chunk.iter().copied().max().unwrap_or(0))
        .collect();
    peaks.reverse();
    let most = peaks.iter().copied().max().unwrap_or(0);
    let curve: String = peaks.iter().map(|&peak| level(u64::from(peak), u64::from(most))).collect();
    let padding = " ".repeat(width - peaks.len());
    format!("{padding}{curve}")
}

/// Every value but 0 can be seen.
fn level(value: u64, most: u64) -> char {
    if value == 0 { LEVELS[0] } else { LEVELS[((value * 8).div_ceil(most) as usize).clamp(1, 8)] }
}

/// A bar of `width` columns at most.
pub(super) fn bar(value: u64, most: u64, width: usize) -> String {
    let eighths = (value.min(most) * 8 * width as u64).div_ceil(most.max(1)) as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        // Many fonts lack the other eighths that grow to the right.
        bar.push(if eighths % 8 >= 4 || bar.is_empty() { '▌' } else { ' ' });
    }
    bar
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_is_at_the_right_and_the_peak_is_full() {
        assert_eq!(curve(&[0, 1, 2, 4, 8], 5, 5), " ▁▂▄█");
        assert_eq!(curve(&[0, 1, 2, 4, 8], 10, 10), "      ▁▂▄█");
        assert_eq!(curve(&[8, 0, 0, 1], 4, 2), "█▁");
        assert_eq!(curve(&[5; 4], 4, 0), "");
    }

    proptest! {
        #[test]
        fn a_curve_is_as_wide_as_there_is_room(
            values in prop::collection::vec(any::<u32>(), 0..300), width in 0usize..200
        ) {
            let curve = curve(&values, 300, width);
            prop_assert_eq!(curve.chars().count(), width);
            prop_assert_eq!(curve.trim().is_empty(), width == 0 || values.iter().all(|v| *v == 0));
        }

        #[test]
        fn a_bar_is_never_longer_than_its_room(value in 0u64..9_000, most in 1u64..9_000, width in 1usize..99) {
            let bar = bar(value, most, width);
            prop_assert!(bar.chars().count() <= width);
            prop_assert_eq!(bar.trim().is_empty(), value == 0);
        }
    }
}

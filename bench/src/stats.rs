//! Medians and percentiles. Pure.

/// The value at or below which `percent` of the values lie, by nearest rank; `None` of nothing.
#[must_use]
pub fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let sorted = sorted(values);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper))
}

/// Largest of the values; `None` of nothing.
#[must_use]
pub fn largest(values: &[f64]) -> Option<f64> {
    sorted(values).last().copied()
}

/// Smallest of the values; `None` of nothing.
#[must_use]
pub fn smallest(values: &[f64]) -> Option<f64> {
    sorted(values).first().copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 50.0), Some(50.0));
        assert_eq!(percentile(&values, 99.0), Some(99.0));
        assert_eq!(percentile(&values, 100.0), Some(100.0));
        assert_eq!(percentile(&[7.0, 5.0, 9.0], 50.0), Some(7.0));
        assert_eq!(percentile(&[7.0, 5.0, 9.0], 99.0), Some(9.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_extremes_are_of_the_values() {
        assert_eq!((smallest(&[3.0, 9.0, 2.0]), largest(&[3.0, 9.0, 2.0])), (Some(2.0), Some(9.0)));
        assert_eq!((smallest(&[]), largest(&[])), (None, None));
    }
}

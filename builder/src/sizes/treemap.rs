//! The layout of a treemap: rectangles in proportion to values, as square as possible (Bruls, Huizing, van Wijk, "Squarified
//! Treemaps", 2000).

/// A rectangle, in units of the area that was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectangle {
    /// The distance from the left.
    pub x: f64,
    /// The distance from the top.
    pub y: f64,
    /// The width.
    pub width: f64,
    /// The height.
    pub height: f64,
}

/// A rectangle for each value, in proportion to it; values are in descending order. Values of 0 get empty rectangles.
pub fn layout(values: &[u64], area: Rectangle) -> Vec<Rectangle> {
    let total: f64 = values.iter().map(|&value| value as f64).sum();
    let mut made = Vec::with_capacity(values.len());
    let mut free = area;
    let scale = if total > 0.0 { area.width * area.height / total } else { 0.0 };
    let mut rest: Vec<f64> = values.iter().map(|&value| value as f64 * scale).collect();
    while !rest.is_empty() {
        let side = free.width.min(free.height);
        let mut count = 1;
        while count < rest.len() && worst(&rest[..=count], side) <= worst(&rest[..count], side) {
            count += 1;
        }
        let row: f64 = rest[..count].iter().sum();
        let thick = if side > 0.0 { row / side } else { 0.0 };
        let mut along = 0.0;
        for value in rest.drain(..count) {
            let length = if thick > 0.0 { value / thick } else { 0.0 };
            made.push(match free.width >= free.height {
                // A column at the left.
                true => Rectangle { x: free.x, y: free.y + along, width: thick, height: length },
                false => Rectangle { x: free.x + along, y: free.y, width: length, height: thick },
            });
            along += length;
        }
        if free.width >= free.height {
            (free.x, free.width) = (free.x + thick, (free.width - thick).max(0.0));
        } else {
            (free.y, free.height) = (free.y + thick, (free.height - thick).max(0.0));
        }
    }
    made
}

/// The largest ratio of sides in a row along a side of the given length.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let (most, least) =
        row.iter().fold((0.0_f64, f64::MAX), |(most, least), &value| (most.max(value), least.min(value)));
    if least <= 0.0 || sum <= 0.0 {
        return f64::MAX;
    }
    (side * side * most / (sum * sum)).max(sum * sum / (side * side * least))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Rectangle = Rectangle { x: 0.0, y: 0.0, width: 6.0, height: 4.0 };

    #[test]
    fn rectangles_fill_the_area_in_proportion() {
        // The example of the paper.
        let values = [6, 6, 4, 3, 2, 2, 1];
        let made = layout(&values, AREA);
        for (value, rectangle) in values.iter().zip(&made) {
            assert!((rectangle.width * rectangle.height - *value as f64).abs() < 1e-9, "{value}: {rectangle:?}");
            assert!(rectangle.x >= -1e-9 && rectangle.x + rectangle.width <= 6.0 + 1e-9, "{rectangle:?}");
            assert!(rectangle.y >= -1e-9 && rectangle.y + rectangle.height <= 4.0 + 1e-9, "{rectangle:?}");
        }
        assert_eq!(made[0], Rectangle { x: 0.0, y: 0.0, width: 3.0, height: 2.0 });
        for (index, one) in made.iter().enumerate() {
            for other in &made[index + 1..] {
                let wide = (one.x + one.width).min(other.x + other.width) - one.x.max(other.x);
                let high = (one.y + one.height).min(other.y + other.height) - one.y.max(other.y);
                assert!(wide < 1e-9 || high < 1e-9, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn any_values_can_be_drawn() {
        for values in [&[][..], &[0], &[5], &[1, 0, 0], &[u64::MAX, 1], &[3; 1000]] {
            let made = layout(values, AREA);
            assert_eq!(made.len(), values.len());
            assert!(made.iter().all(|one| one.width.is_finite() && one.height.is_finite()), "{values:?}");
        }
    }
}

//! Where the boxes of a graph go: columns from left to right, each edge from one column to the
//! next. An edge over several columns passes through a point in each, so that no box lies on it.
//! (The method of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical
//! system structures", 1981.)

/// What is placed. Lengths are in user units of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Where a box is: its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A placed graph.
#[derive(Debug)]
pub(super) struct Layout {
    /// The corner of each box.
    pub(super) corners: Vec<Point>,
    /// For each edge, the points that it passes on its way through columns between its ends.
    pub(super) passes: Vec<Vec<Point>>,
    pub(super) size: Size,
}

/// Free space between the boxes of a column.
const GAP: f64 = 22.0;

/// How often each column is put in order, and then in place, by its neighbours.
const SWEEPS: usize = 8;

/// Something in a column: a box, or where an edge passes.
struct Cell {
    height: f64,
    y: f64,
    before: Vec<usize>,
    after: Vec<usize>,
}

/// Places boxes whose edges, pairs of indexes, form no circle. `aisle` is what each column keeps
/// free on its right.
pub(super) fn place(boxes: &[Size], edges: &[(usize, usize)], aisle: f64) -> Layout {
    let ranks = ranks(boxes.len(), edges);
    let columns_count = ranks.iter().max().map_or(0, |most| most + 1);
    let mut cells: Vec<Cell> = boxes.iter().map(|size| Cell::new(size.height)).collect();
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); columns_count];
    for (index, rank) in ranks.iter().enumerate() {
        columns[*rank].push(index);
    }
    let mut chains = Vec::with_capacity(edges.len());
    for (from, to) in edges {
        let mut chain = vec![*from];
        for column in columns.iter_mut().take(ranks[*to]).skip(ranks[*from] + 1) {
            column.push(cells.len());
            chain.push(cells.len());
            cells.push(Cell::new(0.0));
        }
        chain.push(*to);
        for pair in chain.windows(2) {
            cells[pair[0]].after.push(pair[1]);
            cells[pair[1]].before.push(pair[0]);
        }
        chains.push(chain);
    }
    order(&mut columns, &cells);
    align(&columns, &mut cells);

    let width_of = |column: &Vec<usize>| {
        column
            .iter()
            .filter_map(|cell| boxes.get(*cell))
            .fold(0.0, |most, size| size.width.max(most))
    };
    let mut lefts = Vec::with_capacity(columns.len());
    let mut left = 0.0;
    for column in &columns {
        lefts.push(left);
        left += width_of(column) + aisle;
    }
    let corner = |cell: usize, rank: usize| Point { x: lefts[rank], y: cells[cell].y };
    let corners: Vec<Point> = (0..boxes.len()).map(|index| corner(index, ranks[index])).collect();
    let passes = chains.iter().map(|chain| {
        let inner = chain.iter().enumerate().skip(1).take(chain.len().saturating_sub(2));
        inner.map(|(step, cell)| corner(*cell, ranks[chain[0]] + step)).collect()
    });
    let bottom = cells.iter().fold(0.0, |most, cell| f64::max(most, cell.y + cell.height));
    let size = Size { width: (left - aisle).max(0.0), height: bottom };
    Layout { passes: passes.collect(), corners, size }
}

impl Cell {
    fn new(height: f64) -> Self {
        Self { height, y: 0.0, before: Vec::new(), after: Vec::new() }
    }

    fn middle(&self) -> f64 {
        self.y + self.height / 2.0
    }
}

/// The column of each box: after all that lead to it.
fn ranks(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut ranks = vec![0; count];
    // Without a circle, the longest way has fewer edges than there are boxes.
    for _ in 0..count {
        let mut has_changed = false;
        for (from, to) in edges {
            if ranks[*to] <= ranks[*from] {
                ranks[*to] = ranks[*from] + 1;
                has_changed = true;
            }
        }
        if !has_changed {
            break;
        }
    }
    ranks
}

/// Orders each column by the mean position of the neighbours in the column beside it.
fn order(columns: &mut [Vec<usize>], cells: &[Cell]) {
    let mut position = vec![0.0; cells.len()];
    let number = |column: &[usize], position: &mut [f64]| {
        let mut next = 0.0;
        for cell in column {
            position[*cell] = next;
            next += 1.0;
        }
    };
    for column in columns.iter() {
        number(column, &mut position);
    }
    for sweep in 0..SWEEPS {
        let is_forward = sweep % 2 == 0;
        let indexes: Vec<usize> = if is_forward {
            (0..columns.len()).collect()
        } else {
            (0..columns.len()).rev().collect()
        };
        for index in indexes {
            let key = |cell: &usize| {
                let neighbours =
                    if is_forward { &cells[*cell].before } else { &cells[*cell].after };
                mean(neighbours.iter().map(|other| position[*other])).unwrap_or(position[*cell])
            };
            let mut keyed: Vec<(f64, usize)> =
                columns[index].iter().map(|cell| (key(cell), *cell)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            columns[index] = keyed.into_iter().map(|(_, cell)| cell).collect();
            number(&columns[index], &mut position);
        }
    }
}

/// Moves each cell towards the middle of its neighbours, in the order of its column.
fn align(columns: &[Vec<usize>], cells: &mut [Cell]) {
    for column in columns {
        let mut y = 0.0;
        for cell in column {
            cells[*cell].y = y;
            y += cells[*cell].height + GAP;
        }
    }
    for sweep in 0..SWEEPS {
        let is_forward = sweep % 2 == 0;
        let indexes: Vec<usize> = if is_forward {
            (0..columns.len()).collect()
        } else {
            (0..columns.len()).rev().collect()
        };
        for index in indexes {
            let wanted: Vec<f64> = columns[index]
                .iter()
                .map(|at| {
                    let cell = &cells[*at];
                    let neighbours = if is_forward { &cell.before } else { &cell.after };
                    let middle = mean(neighbours.iter().map(|other| cells[*other].middle()));
                    middle.unwrap_or_else(|| cell.middle()) - cell.height / 2.0
                })
                .collect();
            settle(&columns[index], &wanted, cells);
        }
    }
    let top = cells.iter().fold(f64::INFINITY, |least, cell| least.min(cell.y));
    if top.is_finite() {
        cells.iter_mut().for_each(|cell| cell.y -= top);
    }
}

/// Puts a column's cells where they want to be, as far as they do not overlap: those that do move
/// apart evenly.
fn settle(column: &[usize], wanted: &[f64], cells: &mut [Cell]) {
    // Runs of cells that touch: where the run begins, its cells, and the sum of what they want of
    // the run's beginning.
    let mut runs: Vec<(f64, Vec<usize>, f64)> = Vec::new();
    for (cell, wanted) in column.iter().zip(wanted) {
        let mut run = (*wanted, vec![*cell], *wanted);
        while let Some(previous) = runs.last() {
            let extent: f64 = previous.1.iter().map(|cell| cells[*cell].height + GAP).sum();
            if previous.0 + extent <= run.0 {
                break;
            }
            let (_, mut members, sum) = runs.pop().unwrap_or_default();
            let added: f64 = count(run.1.len());
            let sum = sum + run.2 - extent * added;
            members.append(&mut run.1);
            run = (sum / count(members.len()), members, sum);
        }
        runs.push(run);
    }
    for (begin, members, _) in runs {
        let mut y = begin;
        for cell in members {
            cells[cell].y = y;
            y += cells[cell].height + GAP;
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, number) =
        values.fold((0.0, 0_usize), |(sum, number), value| (sum + value, number + 1));
    (number > 0).then(|| sum / count(number))
}

/// A number of boxes as a float, exactly.
fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 100.0, height: 40.0 };

    #[test]
    fn boxes_stand_in_columns_after_what_leads_to_them_and_do_not_overlap() {
        let edges = [(0, 2), (1, 2), (2, 3), (2, 4), (0, 4), (3, 5), (4, 5), (0, 5)];
        let layout = place(&[SIZE; 6], &edges, 60.0);
        for (from, to) in edges {
            assert!(layout.corners[from].x + SIZE.width < layout.corners[to].x, "{from} {to}");
        }
        for (a, at) in layout.corners.iter().enumerate() {
            for other in &layout.corners[a + 1..] {
                assert!(at.x != other.x || (at.y - other.y).abs() >= SIZE.height, "{layout:?}");
            }
            assert!(at.y >= 0.0 && at.y + SIZE.height <= layout.size.height, "{layout:?}");
        }
        // From the first column to the fourth: through two.
        assert_eq!(layout.passes[7].len(), 2);
        for pass in &layout.passes[7] {
            let hits = |corner: &&Point| {
                corner.x == pass.x && corner.y < pass.y && pass.y < corner.y + SIZE.height
            };
            assert_eq!(layout.corners.iter().find(hits), None);
        }
    }

    #[test]
    fn a_chain_is_straight_and_nothing_is_nothing() {
        let layout = place(&[SIZE; 3], &[(0, 1), (1, 2)], 60.0);
        assert!(layout.corners.iter().all(|corner| corner.y == 0.0), "{layout:?}");
        let layout = place(&[], &[], 60.0);
        assert!(layout.size.width == 0.0 && layout.size.height == 0.0);
    }
}

//! The table of `du`: a line for each sum, with a bar of its share.
//!
//! Apart because it is only about how numbers look.

use bstr::BStr;

use super::Sum;
use crate::cli::ui;
use crate::cli::ui::colour::{Colour, paint};
use crate::repo_path::Printable;

/// Characters of the longest bar.
const BAR: u64 = 20;

/// Lines with stored bytes, content bytes, objects, cost, a bar and the name; the largest first.
pub fn table(sums: &[(&BStr, Sum)], total: &Sum, price: Option<f64>) -> String {
    let mut text = header(price);
    for (name, sum) in sums {
        text.push_str(&line(sum, total.stored, price, &Printable(name).to_string()));
    }
    if sums.len() > 1 {
        text.push_str(&line(total, total.stored, price, "total"));
    }
    text
}

fn header(price: Option<f64>) -> String {
    let cost = price.map_or(String::new(), |_| format!("{:>12} ", "a month"));
    format!("{:>11} {:>11} {:>9} {cost}\n", "stored", "content", "objects").replace(" \n", "\n")
}

fn line(sum: &Sum, all: u64, price: Option<f64>, name: &str) -> String {
    let cost = price.map_or(String::new(), |price| format!("{:>12.2} ", cost(sum.stored, price)));
    let share = if all == 0 { 0 } else { (u128::from(sum.stored) * u128::from(BAR)).div_ceil(all.into()) as usize };
    let bar = paint(format!("{:<1$}", "#".repeat(share), BAR as usize), Colour::Known);
    let (stored, content) = (ui::bytes(sum.stored), ui::bytes(sum.content));
    format!("{stored:>11} {content:>11} {:>9} {cost}{bar} {name}\n", sum.objects)
}

/// What so many bytes cost a month, at a price for a GiB.
pub fn cost(stored: u64, price: f64) -> f64 {
    stored as f64 / (1u64 << 30) as f64 * price
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_shares_and_money_is_by_the_gib() {
        let sum = |stored| Sum { objects: 1, content: 2 * stored, stored, ..Sum::default() };
        let (large, small): (&BStr, &BStr) = ("large/".into(), "small/".into());
        let text = table(&[(large, sum(3 << 30)), (small, sum(1 << 30))], &sum(4 << 30), Some(0.5));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].contains("3.0 GiB") && lines[1].contains("6.0 GiB") && lines[1].contains("1.50"), "{text}");
        let bar = |line: &str| line.matches('#').count();
        assert_eq!([bar(lines[1]), bar(lines[2]), bar(lines[3])], [15, 5, 20]);
        assert!(!table(&[], &Sum::default(), None).contains("month"));
    }
}

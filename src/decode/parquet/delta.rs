//! Delta-encoded lengths: how many there are is checked before anybody makes room for them.

/// Whether the `lists` of numbers that `values` begins with, one after the other, have `count_max` numbers at most.
pub(super) fn check(values: &[u8], lists: u32, count_max: usize) -> Option<()> {
    let mut rest = values;
    for list in 0..lists {
        let is_last = list + 1 == lists;
        rest = pass(rest, count_max, is_last)?;
    }
    Some(())
}

/// Passes over one list, or over its head where nothing follows that matters.
fn pass(values: &[u8], count_max: usize, is_head_enough: bool) -> Option<&[u8]> {
    let mut rest = values;
    let block_size = usize::try_from(number(&mut rest)?).ok()?;
    let parts = usize::try_from(number(&mut rest)?).ok().filter(|parts| *parts > 0)?;
    let count = usize::try_from(number(&mut rest)?).ok().filter(|count| *count <= count_max)?;
    // The first one stands in the head.
    number(&mut rest)?;
    if is_head_enough {
        return Some(rest);
    }
    let per_part = block_size.checked_div(parts).filter(|per_part| *per_part > 0)?;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        number(&mut rest)?;
        let (widths, after) = rest.split_at_checked(parts)?;
        rest = after;
        for width in widths {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(per_part);
            let length = usize::from(*width).checked_mul(per_part)?.checked_div(8)?;
            rest = rest.get(length..)?;
        }
    }
    Some(rest)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

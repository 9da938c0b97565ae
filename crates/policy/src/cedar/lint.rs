//! What the validator cannot know: comparisons that parse and validate, and never hold or know nothing.

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, PatternElem, UnaryOp, Var};
use cedar_policy::{EntityUid, Policy};
use raincoat_types::Ulid;

use super::load::Meant;

/// Each slip in a policy, in words, and whether its head still says what it was meant to apply to.
pub(super) fn slips(policy: &Policy) -> Vec<(String, Meant)> {
    let wrong = policy.entity_literals();
    let mut slips: Vec<_> = wrong.iter().filter_map(wrong_id).map(|slip| (slip, Meant::Unknown)).collect();
    match policy.to_pst() {
        Ok(pst) => {
            for clause in pst.body().clauses() {
                let (Clause::When(expr) | Clause::Unless(expr)) = clause;
                walk(expr, &mut |expr| slips.extend(slip(expr).map(|slip| (slip, Meant::AsHead))));
            }
        }
        Err(error) => slips.push((format!("{error}; write it more simply"), Meant::AsHead)),
    }
    slips.sort();
    slips.dedup();
    slips
}

/// An id that no entity of ours can have.
fn wrong_id(uid: &EntityUid) -> Option<String> {
    let id = uid.id().unescaped();
    match uid.type_name().basename() {
        "Folder" | "File" => {
            let names = || id.split('/').skip(1);
            let canonical = id == "/" || id.starts_with('/') && names().all(|name| !matches!(name, "" | "." | ".."));
            let escaped = id.split('%').skip(1).all(|rest| {
                rest.starts_with("25")
                    || rest.get(..2).is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok_and(|b| b > 0x7f))
            });
            (!canonical || !escaped).then(|| {
                format!("`{uid}` is no path that anything can have: write it absolute, without `/` at its end, `.` or `..`, and `%` as `%25`")
            })
        }
        "User" => (id != "person").then(|| format!("`{uid}` is nobody: the person is `User::\"person\"`")),
        "Grant" | "Run" => {
            let canonical = Ulid::from_string(id).is_ok_and(|ulid| ulid.to_string() == id);
            (!canonical).then(|| format!("`{uid}` is no id: write its 26 characters in upper case"))
        }
        _ => None,
    }
}

fn slip(expr: &Expr) -> Option<String> {
    match expr {
        Expr::GetAttr { expr: of, .. } | Expr::HasAttr { expr: of, .. } if !is_given(of) => {
            Some(format!("nothing is known of `{of}`: only of `resource` and `context`; use the attributes of these"))
        }
        Expr::BinaryOp { op: BinaryOp::In, left, .. } if !is_given(left) => Some(format!(
            "nothing is known of where `{left}` lies: only of `principal`, `action` and `resource`; use these"
        )),
        Expr::Is { expr: of, in_expr: Some(_), .. } if !is_given(of) => Some(format!(
            "nothing is known of where `{of}` lies: only of `principal`, `action` and `resource`; use these"
        )),
        Expr::Like { expr: of, pattern } if is_lower(of) => {
            let upper = pattern.iter().any(|elem| matches!(elem, PatternElem::Char(c) if is_upper(*c)));
            upper.then(|| never(of))
        }
        Expr::BinaryOp { op: BinaryOp::Eq | BinaryOp::NotEq, left, right } => {
            let upper = |one: &Expr, other: &Expr| is_lower(one) && is_upper_text(other);
            (upper(left, right) || upper(right, left)).then(|| never(if is_lower(left) { left } else { right }))
        }
        Expr::BinaryOp { op: BinaryOp::Contains, left, right } if is_lower(right) => {
            let upper = matches!(&**left, Expr::Set(texts) if texts.iter().any(|text| is_upper_text(text)));
            upper.then(|| never(right))
        }
        _ => None,
    }
}

fn never(of: &Expr) -> String {
    format!("`{of}` is in lower case, so this comparison with upper case never holds; write it in lower case")
}

/// `principal`, `action`, `resource`, `context` or something within one.
fn is_given(expr: &Expr) -> bool {
    match expr {
        Expr::Var(_) => true,
        Expr::GetAttr { expr, .. } => is_given(expr),
        _ => false,
    }
}

fn is_lower(expr: &Expr) -> bool {
    matches!(expr, Expr::GetAttr { expr: of, attr }
        if matches!(**of, Expr::Var(Var::Resource)) && matches!(attr.as_str(), "name" | "path" | "extension"))
}

fn is_upper_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(Literal::String(text)) if text.chars().any(is_upper))
}

fn is_upper(c: char) -> bool {
    !c.to_lowercase().eq([c])
}

/// What must all hold for an expression to be as said, as (expression, whether it
/// holds), in the order in which Cedar asks.
pub(super) fn conjuncts<'e>(expr: &'e Expr, holds: bool, all: &mut Vec<(&'e Expr, bool)>) {
    match (expr, holds) {
        (Expr::UnaryOp { op: UnaryOp::Not, expr }, _) => conjuncts(expr, !holds, all),
        (Expr::BinaryOp { op: BinaryOp::And, left, right }, true)
        | (Expr::BinaryOp { op: BinaryOp::Or, left, right }, false) => {
            conjuncts(left, holds, all);
            conjuncts(right, holds, all);
        }
        _ => all.push((expr, holds)),
    }
}

/// Every expression within one, itself first.
pub(super) fn walk(expr: &Expr, see: &mut impl FnMut(&Expr)) {
    see(expr);
    match expr {
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => {
            walk(expr, see);
        }
        Expr::BinaryOp { left, right, .. } => {
            walk(left, see);
            walk(right, see);
        }
        Expr::Is { expr, in_expr, .. } => {
            walk(expr, see);
            if let Some(within) = in_expr {
                walk(within, see);
            }
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            walk(cond, see);
            walk(then_expr, see);
            walk(else_expr, see);
        }
        Expr::Set(all) => all.iter().for_each(|one| walk(one, see)),
        Expr::Record(all) => all.values().for_each(|one| walk(one, see)),
        _ => {}
    }
}

//! The jobs that a job depends on, as a graph with their states: those that must be done first stand at its left.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use askama::filters::HtmlSafe;
use longshore::{JobId, JobStatus};

use super::text;

const NODE: (u32, u32) = (180, 58);
const GAP: (u32, u32) = (44, 14);
const MARGIN: u32 = 4;

/// A job of the graph.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: JobId,
    pub(crate) name: String,
    /// `None` when nobody knows it any more.
    pub(crate) status: Option<JobStatus>,
    pub(crate) fraction: Option<f64>,
    pub(crate) parents: Vec<JobId>,
}

/// The drawn graph.
#[derive(Clone, Debug, Template)]
#[template(path = "part/graph.html")]
pub(crate) struct Graph {
    width: u32,
    height: u32,
    nodes: Vec<Drawn>,
    edges: Vec<Edge>,
    /// How it takes to little room: `alone` and `narrow` ones shrink, `wide` ones are scrolled.
    size: &'static str,
    /// Jobs that are not drawn, because there are too many.
    more: String,
}

impl HtmlSafe for Graph {}

#[derive(Clone, Debug)]
struct Drawn {
    id: String,
    href: String,
    name: String,
    full: String,
    word: &'static str,
    own: bool,
    x: u32,
    y: u32,
    percent: String,
}

#[derive(Clone, Debug)]
struct Edge {
    path: String,
    open: bool,
}

impl Graph {
    /// Draws `nodes`, one of them `own`. `left_out` of them are not among them.
    pub(crate) fn draw(own: JobId, nodes: &[Node], left_out: u64, href: impl Fn(&str) -> String) -> Self {
        let columns = columns(own, nodes);
        let tallest = columns.iter().map(Vec::len).max().unwrap_or(0);
        let height = span(tallest, NODE.1, GAP.1);
        let mut places: BTreeMap<JobId, (u32, u32)> = BTreeMap::new();
        for (column, ids) in columns.iter().enumerate() {
            let top = (height - span(ids.len(), NODE.1, GAP.1)) / 2;
            for (row, id) in ids.iter().enumerate() {
                places.insert(*id, (at(column, NODE.0, GAP.0), top + at(row, NODE.1, GAP.1)));
            }
        }
        let drawn = nodes.iter().filter_map(|node| {
            let (x, y) = *places.get(&node.id)?;
            Some(Drawn {
                id: node.id.to_string(),
                href: href(&format!("/jobs/{}", node.id)),
                name: text::cut(&node.name, 16),
                full: node.name.clone(),
                word: node.status.map_or("unknown", JobStatus::as_str),
                own: node.id == own,
                x,
                y,
                percent: percent(node),
            })
        });
        Self {
            width: span(columns.len(), NODE.0, GAP.0) + 2 * MARGIN,
            height: height + 2 * MARGIN,
            size: match columns.len() {
                0..=2 => "alone",
                3..=4 => "narrow",
                _ => "wide",
            },
            nodes: drawn.collect(),
            edges: edges(nodes, &places),
            more: if left_out > 0 {
                format!("{} more not shown.", text::plural(left_out, "job is", "jobs are"))
            } else {
                String::new()
            },
        }
    }
}

fn percent(node: &Node) -> String {
    let done = node.status == Some(JobStatus::Completed);
    let fraction = if done { 1.0 } else { node.fraction.unwrap_or(0.0) };
    super::part::percentage(fraction)
}

fn at(number: usize, size: u32, gap: u32) -> u32 {
    u32::try_from(number).unwrap_or(0) * (size + gap)
}

fn span(many: usize, size: u32, gap: u32) -> u32 {
    at(many, size, gap).saturating_sub(gap)
}

fn edges(nodes: &[Node], places: &BTreeMap<JobId, (u32, u32)>) -> Vec<Edge> {
    let mut edges = Vec::new();
    for node in nodes {
        for parent in &node.parents {
            let (Some((from_x, from_y)), Some((to_x, to_y))) = (places.get(parent), places.get(&node.id))
            else {
                continue;
            };
            let (x, y) = (from_x + NODE.0, from_y + NODE.1 / 2);
            let (end, end_y) = (to_x.saturating_sub(5), to_y + NODE.1 / 2);
            let middle = u32::midpoint(x, end);
            let done = nodes
                .iter()
                .any(|node| node.id == *parent && node.status == Some(JobStatus::Completed));
            edges.push(Edge {
                path: format!("M{x} {y}C{middle} {y} {middle} {end_y} {end} {end_y}"),
                open: !done,
            });
        }
    }
    edges
}

/// Columns from left to right; a job stands right of all its parents. Jobs of a circle, which no store accepts, end up
/// at the left.
fn columns(own: JobId, nodes: &[Node]) -> Vec<Vec<JobId>> {
    let known: BTreeSet<JobId> = nodes.iter().map(|node| node.id).collect();
    let mut depth: BTreeMap<JobId, usize> = known.iter().map(|id| (*id, 0)).collect();
    for _ in 0..nodes.len() {
        let before = depth.clone();
        for node in nodes {
            let parents = node.parents.iter().filter_map(|parent| before.get(parent));
            let deepest = parents.map(|depth| depth + 1).max().unwrap_or(0);
            depth.insert(node.id, deepest.min(nodes.len()));
        }
        if depth == before {
            break;
        }
    }
    let last = depth.values().copied().max().unwrap_or(0);
    let mut columns = vec![Vec::new(); last + 1];
    for node in nodes {
        // What nothing is before moves right beside its nearest child.
        let children = nodes.iter().filter(|child| child.parents.contains(&node.id));
        let nearest = children.filter_map(|child| depth.get(&child.id)).min().copied();
        let column = match nearest {
            Some(child) if node.id != own => child.saturating_sub(1),
            _ => depth.get(&node.id).copied().unwrap_or(0),
        };
        if let Some(column) = columns.get_mut(column) {
            column.push(node.id);
        }
    }
    columns.retain(|column| !column.is_empty());
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(key: &str, status: JobStatus, parents: &[&str]) -> Node {
        Node {
            id: JobId::from_idempotency_key(key),
            name: format!("<{key}>"),
            status: Some(status),
            fraction: Some(0.25),
            parents: parents
                .iter()
                .map(|key| JobId::from_idempotency_key(key))
                .collect(),
        }
    }

    #[test]
    fn a_job_stands_right_of_what_must_be_done_first() {
        let nodes = [
            node("report", JobStatus::Blocked, &["merge"]),
            node("merge", JobStatus::Running, &["one", "two"]),
            node("one", JobStatus::Completed, &[]),
            node("two", JobStatus::Completed, &[]),
        ];
        let graph = Graph::draw(nodes[0].id, &nodes, 0, str::to_owned);
        let x = |name: &str| graph.nodes.iter().find(|node| node.full == name).unwrap().x;
        assert!(x("<one>") < x("<merge>") && x("<merge>") < x("<report>"));
        assert_eq!(x("<one>"), x("<two>"));
        assert_eq!(graph.edges.len(), 3);
        assert_eq!(graph.edges.iter().filter(|edge| edge.open).count(), 1);
        let html = graph.to_string();
        assert!(
            html.contains("&#60;merge&#62;") && !html.contains("<merge>"),
            "{html}"
        );
    }

    #[test]
    fn a_circle_is_drawn_all_the_same() {
        let nodes = [
            node("a", JobStatus::Blocked, &["b"]),
            node("b", JobStatus::Blocked, &["a"]),
        ];
        assert_eq!(Graph::draw(nodes[0].id, &nodes, 0, str::to_owned).nodes.len(), 2);
    }
}

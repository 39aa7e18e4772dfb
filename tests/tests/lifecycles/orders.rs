pub(crate) const ROWS: &[crate::table::Row] = &[];

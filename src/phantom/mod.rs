//! Synthetic head CTs: test fixtures, and the sample scans of the page.

package tools

// Golden is golden for tests outside of the package.
var Golden = golden

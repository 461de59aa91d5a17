package main

// homeVariable names the user's home folder.
const homeVariable = "USERPROFILE"

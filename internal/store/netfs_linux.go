package store

import "syscall"

// The file system numbers of statfs(2) that stand for another machine's disk. FUSE and 9P are not among
// them: containers use them for local disks too, and one that cannot share memory is found when WAL mode is refused.
var networkMagic = map[uint32]string{
	0x00006969: "NFS",
	0x0000517b: "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
	0x5346414f: "AFS",
	0x6b414653: "AFS",
	0x00c36400: "Ceph",
}

// networkFS names the network file system that a folder is on, "" for a local one or an unknown answer.
func networkFS(dir string) string {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return ""
	}
	return networkMagic[uint32(st.Type)] //nolint:unconvert // the field's type differs between processors
}

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

// An attachment is a row of files, one for each path, type and content within a conversation, linked by conversation_files and by
// the file_ids of its messages' metadata, as in the original. Its bytes are a row of exai_blobs, one for each content.

// fileMetadata is the metadata column of the files rows that are ours; sha256 is the key of their bytes.
type fileMetadata struct {
	Path   string `json:"path,omitempty"`
	Name   string `json:"name,omitempty"` // as models are shown it, where that is not the path
	SHA256 string `json:"sha256"`
}

// fillAttachment computes hash and size, and refuses a hash that is not the data's.
func fillAttachment(a *conversation.Attachment) error {
	sum := sha256.Sum256(a.Data)
	hash := hex.EncodeToString(sum[:])
	if a.SHA256 != "" && a.SHA256 != hash {
		return fmt.Errorf("attachment %s: its data has the hash %s, not %s", a.Path, hash, a.SHA256)
	}
	a.SHA256, a.Size = hash, int64(len(a.Data))
	return nil
}

// blobsOf lists the different contents of some turns by hash. All transactions take them in this order.
func blobsOf(turns []conversation.Turn) []conversation.Attachment {
	var out []conversation.Attachment
	for _, t := range turns {
		out = append(out, t.Attachments...)
	}
	bySum := func(a, b conversation.Attachment) int { return strings.Compare(a.SHA256, b.SHA256) }
	slices.SortFunc(out, bySum)
	return slices.CompactFunc(out, func(a, b conversation.Attachment) bool { return bySum(a, b) == 0 })
}

// insertBlobs stores contents that are not there yet.
func insertBlobs(ctx context.Context, tx querier, blobs []conversation.Attachment) error {
	for _, b := range blobs {
		data := b.Data
		if data == nil {
			data = []byte{} // an empty file, not NULL
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO exai_blobs (sha256, size_bytes, data, created_at)
			VALUES ($1, $2, $3, $4) ON CONFLICT (sha256) DO NOTHING`, b.SHA256, b.Size, data, stamp(now())); err != nil {
			return fmt.Errorf("keep a file's content: %w", err)
		}
	}
	return nil
}

// ownFiles is the condition on files rows that are ours. Another program may name the same hashes.
const ownFiles = `storage_path LIKE 'exai!_blobs/%' ESCAPE '!'`

// storagePath says where the bytes of a files row of ours are. The hash is part of it, so that two versions of one file
// never collide.
func storagePath(conv, mime, hash, path string) string {
	const most = 1000 // an index of PostgreSQL holds 2,704 bytes
	if len(path) > most {
		sum := sha256.Sum256([]byte(path))
		path = hex.EncodeToString(sum[:])
	}
	return strings.Join([]string{"exai_blobs", conv, hash, mime, path}, "/")
}

// linkFile makes the files row of an attachment, once in a conversation, and returns its id. The caller has locked the conversation.
func linkFile(ctx context.Context, tx querier, row, conv string, a conversation.Attachment) (id string, err error) {
	p := text(a.Path)
	stored := storagePath(conv, text(a.MIME), a.SHA256, p)
	err = tx.QueryRowContext(ctx, `SELECT id FROM files WHERE storage_path = $1`, stored).Scan(&id)
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	meta, err := json.Marshal(fileMetadata{Path: p, Name: text(a.Name), SHA256: a.SHA256})
	if err != nil {
		return "", err
	}
	name := path.Base(strings.ReplaceAll(p, `\`, "/"))
	if p == "" {
		name = "inline"
	}
	id = uuid.NewString()
	if _, err := tx.ExecContext(ctx, `INSERT INTO files
			(id, storage_path, original_name, mime_type, size_bytes, file_type, metadata, created_at)
		VALUES ($1, $2, $3, $4, $5, 'user_upload', $6, $7)`,
		id, stored, name, textOrNull(a.MIME), a.Size, string(meta), stamp(now())); err != nil {
		return "", fmt.Errorf("keep a file: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO conversation_files (conversation_id, file_id, added_at) VALUES ($1, $2, $3)`,
		row, id, stamp(now()))
	return id, err
}

// attachments reads the files of a conversation with their contents, by id. Files whose bytes another program keeps
// elsewhere are not among them.
func (s *Store) attachments(ctx context.Context, row string) (map[string]conversation.Attachment, error) {
	kept := map[string]conversation.Attachment{}
	data := map[string][]byte{} // turns that share a content share its bytes
	_, err := queryAll(ctx, s.read, func(r *sql.Rows) (struct{}, error) {
		var id string
		var a conversation.Attachment
		err := r.Scan(&id, into(&a.Path), into(&a.Name), &a.SHA256, into(&a.MIME), &a.Size)
		kept[id], data[a.SHA256] = a, nil
		return struct{}{}, err
	}, `SELECT f.id, f.metadata ->> 'path', f.metadata ->> 'name', b.sha256, f.mime_type, b.size_bytes
		FROM conversation_files cf JOIN files f ON f.id = cf.file_id JOIN exai_blobs b ON b.sha256 = f.metadata ->> 'sha256'
		WHERE cf.conversation_id = $1`, row)
	if err != nil {
		return nil, err
	}
	_, err = queryAll(ctx, s.read, func(r *sql.Rows) (struct{}, error) {
		var sum string
		var b []byte
		err := r.Scan(&sum, &b)
		data[sum] = b
		return struct{}{}, err
	}, `SELECT sha256, data FROM exai_blobs WHERE sha256 IN (SELECT f.metadata ->> 'sha256'
			FROM conversation_files cf JOIN files f ON f.id = cf.file_id WHERE cf.conversation_id = $1)`, row)
	if err != nil {
		return nil, err
	}
	for id, a := range kept {
		if a.Data = data[a.SHA256]; a.Data == nil {
			a.Data = []byte{}
		}
		kept[id] = a
	}
	return kept, nil
}

// filesOf lists our files that are linked to the conversations that conditions name, with the hash of each.
func filesOf(ctx context.Context, tx querier, w where) (map[string]string, error) {
	files := map[string]string{}
	_, err := queryAll(ctx, tx, func(r *sql.Rows) (struct{}, error) {
		var id, sum string
		err := r.Scan(&id, into(&sum))
		files[id] = sum
		return struct{}{}, err
	}, `SELECT f.id, f.metadata ->> 'sha256' FROM files f JOIN conversation_files cf ON cf.file_id = f.id
		WHERE f.`+ownFiles+` AND cf.conversation_id IN (SELECT id FROM conversations`+w.clause()+`)`, w.args...)
	return files, err
}

// sweepFiles deletes those of some files that no conversation is linked to any more, and their contents where no other file
// has them. The caller holds the lock on contents, so that nobody is about to use one of them.
func sweepFiles(ctx context.Context, tx querier, d dialect, files map[string]string) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(files)), eachChunk) {
		w := among(d, "id", ids)
		w.and(`NOT EXISTS (SELECT 1 FROM conversation_files cf WHERE cf.file_id = files.id)`)
		if _, err := tx.ExecContext(ctx, `DELETE FROM files`+w.clause(), w.args...); err != nil {
			return fmt.Errorf("delete files: %w", err)
		}
	}
	sums := slices.Compact(slices.Sorted(maps.Values(files)))
	for some := range slices.Chunk(sums, eachChunk) {
		w := among(d, "sha256", some)
		w.and(`NOT EXISTS (SELECT 1 FROM files WHERE metadata ->> 'sha256' = exai_blobs.sha256 AND ` + ownFiles + `)`)
		if _, err := tx.ExecContext(ctx, `DELETE FROM exai_blobs`+w.clause(), w.args...); err != nil {
			return fmt.Errorf("delete the contents of files: %w", err)
		}
	}
	return nil
}

// among is the condition that a column has one of some values.
func among[T any](d dialect, column string, values []T) *where {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = fmt.Sprint(v)
	}
	w := &where{}
	w.and(column+d.in, d.array(list))
	return w
}

namespace Frusta.Store.Activations;

/// <summary>The tables of one slice's index and every statement on them.</summary>
/// <remarks>
/// The table is clustered in the order of lists, so that three trees suffice in all. A namespace and a filter name are stored
/// once, and rows refer to them by number: by measurement this halves the index.
/// </remarks>
internal static class SliceSchema
{
    /// <summary>The schema of each version, made from the one before.</summary>
    public static readonly string[] Steps = [Create, KnowsOffsetsOfLogs];

    private const string Create = """
        CREATE TABLE names (key INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
        CREATE TABLE activations (
            namespace INTEGER NOT NULL, start INTEGER NOT NULL, id BLOB NOT NULL, name INTEGER NOT NULL, ended INTEGER NOT NULL,
            status INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
            PRIMARY KEY (namespace, start, id)) WITHOUT ROWID;
        CREATE INDEX activations_by_name ON activations (namespace, name, start, id);
        CREATE INDEX activations_by_id ON activations (id);
        CREATE TABLE not_kept (id BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID;
        CREATE TABLE state (
            key INTEGER PRIMARY KEY CHECK (key = 1), first_segment INTEGER NOT NULL, stored_segment INTEGER NOT NULL,
            stored_offset INTEGER NOT NULL, stored_length INTEGER NOT NULL, sealed INTEGER NOT NULL, count INTEGER NOT NULL,
            least_start INTEGER NOT NULL, greatest_start INTEGER NOT NULL, least_created INTEGER NOT NULL,
            greatest_created INTEGER NOT NULL, other_ids INTEGER NOT NULL);
        """;

    /// <summary>
    /// The tables stay as they are. Only the schema's version changes: it keeps away older programs, which do not know entries with the offset of their logs
    /// (<see cref="RecordHead.Kept"/>) and would read them wrongly.
    /// </summary>
    private const string KnowsOffsetsOfLogs = "SELECT 2;";

    public const string Insert = """
        INSERT OR IGNORE INTO activations (namespace, start, id, name, ended, status, segment, offset, length)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        """;

    public const string InsertNotKept = "INSERT OR IGNORE INTO not_kept (id) VALUES (?1)";

    public const string InsertName = "INSERT INTO names (key, text) VALUES (?1, ?2)";

    public const string Names = "SELECT key, text FROM names";

    public const string Key = "SELECT key FROM names WHERE text = ?1";

    public const string WriteState = """
        INSERT OR REPLACE INTO state (key, first_segment, stored_segment, stored_offset, stored_length, sealed, count,
            least_start, greatest_start, least_created, greatest_created, other_ids)
        VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
        """;

    public const string ReadState = """
        SELECT first_segment, stored_segment, stored_offset, stored_length, sealed, count,
            least_start, greatest_start, least_created, greatest_created, other_ids FROM state WHERE key = 1
        """;

    public const string StoredUpTo = "SELECT stored_segment, stored_offset, stored_length FROM state WHERE key = 1";

    public const string Get = """
        SELECT names.text, segment, offset, length FROM activations JOIN names ON names.key = activations.namespace WHERE id = ?1
        """;

    public const string Contains = "SELECT EXISTS (SELECT 1 FROM activations WHERE id = ?1) OR EXISTS (SELECT 1 FROM not_kept WHERE id = ?1)";

    private const string OfNamespace = "FROM activations WHERE namespace = ?1 AND ?2 IS NULL AND start BETWEEN ?3 AND ?4";
    private const string OfName = "FROM activations INDEXED BY activations_by_name WHERE namespace = ?1 AND name = ?2 AND start BETWEEN ?3 AND ?4";
    private const string Rows = "SELECT start, id, segment, offset, length ";
    private const string Order = " ORDER BY start DESC, id DESC LIMIT ?5";

    public const string List = Rows + OfNamespace + Order;

    public const string ListName = Rows + OfName + Order;

    public const string Count = "SELECT COUNT(*) " + OfNamespace;

    public const string CountName = "SELECT COUNT(*) " + OfName;
}

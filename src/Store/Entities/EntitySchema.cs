namespace Frusta.Store.Entities;

/// <summary>The tables of the entity store and every statement on them.</summary>
internal static class EntitySchema
{
    /// <summary>The schema of each version, made from the one before.</summary>
    public static readonly string[] Steps = [Create, AddPieces];

    private const string Create = """
        CREATE TABLE documents (
            id TEXT PRIMARY KEY NOT NULL, kind INTEGER NOT NULL, namespace TEXT NOT NULL, package TEXT, name TEXT NOT NULL,
            updated INTEGER NOT NULL, public INTEGER NOT NULL, attachment TEXT, revision TEXT NOT NULL, body BLOB NOT NULL);
        CREATE INDEX documents_by_namespace ON documents (kind, namespace, updated DESC, id DESC);
        CREATE INDEX documents_by_package ON documents (kind, namespace, package, updated DESC, id DESC) WHERE package IS NOT NULL;
        CREATE TABLE attachments (document TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (document, name));
        """;

    // Long code is kept in pieces. Its attachment then has an empty body, and as length that of all pieces together.
    private const string AddPieces = """
        ALTER TABLE attachments ADD COLUMN length INTEGER;
        CREATE TABLE pieces (document TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (document, name, number));
        """;

    public const string Insert = """
        INSERT INTO documents (id, kind, namespace, package, name, updated, public, attachment, revision, body)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING
        """;

    public const string Update = """
        UPDATE documents SET kind = ?2, namespace = ?3, package = ?4, name = ?5, updated = ?6, public = ?7, attachment = ?8,
            revision = ?9, body = ?10 WHERE id = ?1 AND revision = ?11
        """;

    public const string Delete = "DELETE FROM documents WHERE id = ?1 AND revision = ?2";

    public const string Attach = """
        INSERT INTO attachments (document, name, body, length) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (document, name) DO UPDATE SET body = excluded.body, length = excluded.length
        """;

    public const string AddPiece = """
        INSERT INTO pieces (document, name, number, body) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (document, name, number) DO UPDATE SET body = excluded.body
        """;

    public const string Stored = "SELECT revision FROM documents WHERE id = ?1";

    /// <summary>Whether an attachment or a piece with this name is stored.</summary>
    public const string IsNameUsed = """
        SELECT 1 FROM attachments WHERE document = ?1 AND name = ?2 UNION ALL SELECT 1 FROM pieces WHERE document = ?1 AND name = ?2 LIMIT 1
        """;

    /// <summary>The attachment that a document at a revision names, and its number of bytes.</summary>
    public const string Attached = """
        SELECT attachment, coalesce(attachments.length, length(attachments.body)) FROM documents JOIN attachments ON document = id AND attachments.name = attachment
        WHERE id = ?1 AND revision = ?2
        """;

    /// <summary>Deletes an attachment, unless its document names it again.</summary>
    public const string Detach = """
        DELETE FROM attachments WHERE document = ?1 AND name = ?2
            AND NOT EXISTS (SELECT 1 FROM documents WHERE id = ?1 AND attachment = ?2)
        """;

    /// <summary>Deletes the pieces of an attachment, if the attachment itself is gone.</summary>
    public const string DetachPieces = """
        DELETE FROM pieces WHERE document = ?1 AND name = ?2
            AND NOT EXISTS (SELECT 1 FROM attachments WHERE document = ?1 AND name = ?2)
        """;

    /// <summary>Deletes the attachments that no document names, and the pieces that are of no attachment.</summary>
    public const string Sweep = """
        DELETE FROM attachments WHERE NOT EXISTS (
            SELECT 1 FROM documents WHERE documents.id = attachments.document AND documents.attachment = attachments.name);
        DELETE FROM pieces WHERE NOT EXISTS (
            SELECT 1 FROM attachments WHERE attachments.document = pieces.document AND attachments.name = pieces.name);
        """;

    public const string Get = "SELECT revision, body FROM documents WHERE id = ?1";

    /// <summary>The length is the first column: SQLite knows it without reading the body.</summary>
    public const string GetAttachment = "SELECT coalesce(length, length(body)), length IS NOT NULL, body FROM attachments WHERE document = ?1 AND name = ?2";

    public const string GetPieces = "SELECT body FROM pieces WHERE document = ?1 AND name = ?2 ORDER BY number";

    private const string OfNamespace = "FROM documents WHERE kind = ?1 AND namespace = ?2";
    private const string OfPackage = OfNamespace + " AND package = ?3";
    private const string Public = OfNamespace + " AND public = 1 AND ?3 IS NULL";
    private const string Order = " ORDER BY updated DESC, id DESC LIMIT ?4 OFFSET ?5";

    public const string List = "SELECT id, revision, length(body) " + OfNamespace + " AND ?3 IS NULL" + Order;

    public const string ListPackage = "SELECT id, revision, length(body) " + OfPackage + Order;

    public const string ListPublic = "SELECT id, revision, length(body) " + Public + Order;

    public const string Count = "SELECT COUNT(*) " + OfNamespace + " AND ?3 IS NULL";

    public const string CountPackage = "SELECT COUNT(*) " + OfPackage;

    public const string CountPublic = "SELECT COUNT(*) " + Public;
}

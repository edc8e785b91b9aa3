namespace Frusta.Store.Entities;

/// <summary>
/// Code that no document names any more: of actions that were updated or deleted. It is kept for a while, because calls that came before still
/// wait for a sandbox to run it. The bounds are <see cref="EntityStoreOptions.ReplacedCodeAge"/> and <see cref="EntityStoreOptions.ReplacedCodeBytes"/>.
/// </summary>
/// <remarks>Known in memory only: what a server leaves behind is swept at the next start, when no call waits for it any more.</remarks>
internal sealed class ReplacedCode(EntityStoreOptions options, TimeProvider clock)
{
    /// <summary>Each counts for no less than a page of the file, which bounds their number too.</summary>
    private const int LeastBytes = 4096;

    private readonly Queue<(string DocumentId, string Attachment, long Bytes, long ReplacedAt)> _kept = [];
    private long _bytes;

    public void Add(string documentId, string attachment, long bytes)
    {
        var counted = Math.Max(bytes, LeastBytes);
        _kept.Enqueue((documentId, attachment, counted, clock.GetTimestamp()));
        _bytes += counted;
    }

    /// <summary>What is to be deleted now, oldest first. It stays here until <see cref="Forget"/>.</summary>
    public List<(string DocumentId, string Attachment)> Due()
    {
        var due = new List<(string, string)>();
        var bytes = _bytes;
        foreach (var (documentId, attachment, size, replacedAt) in _kept)
        {
            if (bytes <= options.ReplacedCodeBytes && clock.GetElapsedTime(replacedAt) < options.ReplacedCodeAge)
            {
                break;
            }

            due.Add((documentId, attachment));
            bytes -= size;
        }

        return due;
    }

    /// <summary>Forgets the oldest, which have been deleted.</summary>
    public void Forget(int count)
    {
        for (; count > 0; count--)
        {
            _bytes -= _kept.Dequeue().Bytes;
        }
    }
}

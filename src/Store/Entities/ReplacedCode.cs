namespace Frusta.Store.Entities;

/// <summary>
/// Code that no document names any more, of actions that were updated or deleted. It is kept for a while, since calls that came before may still
/// wait for a sandbox to run it. The bounds are <see cref="EntityStoreOptions.ReplacedCodeAge"/> and <see cref="EntityStoreOptions.ReplacedCodeBytes"/>.
/// </summary>
/// <remarks>The list is in memory only: code that a server leaves behind is deleted at the next start, when no call waits for it any more.</remarks>
internal sealed class ReplacedCode(EntityStoreOptions options, TimeProvider clock)
{
    /// <summary>Each code counts as at least a page of the file, which also bounds the number of codes.</summary>
    private const int LeastBytes = 4096;

    // The most that one commit deletes, since other writes wait for that commit.
    private const int MostDue = 256;
    private const long MostBytesDue = 64 << 20;

    private readonly Queue<(string DocumentId, string Attachment, long Bytes, long ReplacedAt)> _kept = [];
    private readonly Queue<(string DocumentId, string Attachment)> _forsaken = [];
    private long _bytes;

    public void Add(string documentId, string attachment, long bytes)
    {
        var counted = Math.Max(bytes, LeastBytes);
        _kept.Enqueue((documentId, attachment, counted, clock.GetTimestamp()));
        _bytes += counted;
    }

    /// <summary>Adds the code of a write that failed after pieces of it were written: no call waits for it.</summary>
    public void AddForsaken(string documentId, string attachment) => _forsaken.Enqueue((documentId, attachment));

    /// <summary>The code that is to be deleted in the next commit, oldest first. It stays in the list until <see cref="Forget"/>.</summary>
    public List<(string DocumentId, string Attachment)> Due()
    {
        var due = new List<(string, string)>(_forsaken.Take(1));
        var bytes = _bytes;
        foreach (var (documentId, attachment, size, replacedAt) in _kept)
        {
            var isKept = bytes <= options.ReplacedCodeBytes && clock.GetElapsedTime(replacedAt) < options.ReplacedCodeAge;
            if (isKept || due.Count == MostDue || _bytes - bytes >= MostBytesDue)
            {
                break;
            }

            due.Add((documentId, attachment));
            bytes -= size;
        }

        return due;
    }

    /// <summary>Forgets so many of the codes that were due, which have been deleted.</summary>
    public void Forget(int count)
    {
        if (count > 0 && _forsaken.TryDequeue(out _))
        {
            count--;
        }

        for (; count > 0; count--)
        {
            _bytes -= _kept.Dequeue().Bytes;
        }
    }
}

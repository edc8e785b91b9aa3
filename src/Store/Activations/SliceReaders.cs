using Frusta.Store.Sqlite;
using Microsoft.Data.Sqlite;

namespace Frusta.Store.Activations;

/// <summary>Connections to the indexes of slices, kept open between reads. Beyond the bound the connection that was unused for longest is closed.</summary>
internal sealed class SliceReaders(int capacity) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<(Slice Slice, SliceReader Reader)> _resting = new(capacity + 1);
    private bool _isClosed;

    /// <summary>Runs a read on a connection to the slice; gives <paramref name="none"/> when the slice was dropped meanwhile.</summary>
    /// <exception cref="SqliteException">The index cannot be read. If it is damaged it is marked, so that it is built anew.</exception>
    public TResult Read<TState, TResult>(Slice slice, TState state, Func<SliceReader, TState, TResult> read, TResult none)
    {
        SliceReader? reader = null;
        try
        {
            reader = Take(slice) ?? new SliceReader(slice.Path);
            var result = read(reader, state);
            Rest(slice, reader);
            return result;
        }
        catch (SqliteException exception)
        {
            reader?.Dispose();
            if (slice.IsDropped)
            {
                return none;
            }

            slice.IsDamaged |= SqliteFile.IsDamage(exception);
            throw;
        }
    }

    /// <summary>Closes the unused connections to a slice that was dropped or is built anew.</summary>
    public void Forget(Slice slice)
    {
        while (Take(slice) is { } reader)
        {
            reader.Dispose();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _isClosed = true;
            foreach (var (_, reader) in _resting)
            {
                reader.Dispose();
            }

            _resting.Clear();
        }
    }

    private SliceReader? Take(Slice slice)
    {
        lock (_gate)
        {
            for (var i = _resting.Count - 1; i >= 0; i--)
            {
                if (_resting[i].Slice == slice)
                {
                    var reader = _resting[i].Reader;
                    _resting.RemoveAt(i);
                    return reader;
                }
            }

            return null;
        }
    }

    private void Rest(Slice slice, SliceReader reader)
    {
        SliceReader? closing = reader;
        lock (_gate)
        {
            if (!_isClosed && !slice.IsDropped)
            {
                _resting.Add((slice, reader));
                closing = null;
                if (_resting.Count > capacity)
                {
                    closing = _resting[0].Reader;
                    _resting.RemoveAt(0);
                }
            }
        }

        closing?.Dispose();
    }
}

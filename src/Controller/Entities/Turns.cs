namespace Frusta.Controller.Entities;

/// <summary>Lets the writers of documents that hang together go one after the other, each of them first come first served.</summary>
/// <remarks>
/// The store refuses a unit whose documents have changed since they were read, whoever changed them. Turns are there so that of many writers in
/// this process none loses again and again, and so that what no document says (that a package has no actions) holds until the write is done.
/// </remarks>
internal sealed class Turns
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Line> _lines = new(StringComparer.Ordinal);

    /// <summary>Waits until nobody before has the turn.</summary>
    /// <param name="name">What is written: a namespace for its rules and triggers, a package for it and its actions.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The turn, to be disposed when all is written.</returns>
    public async ValueTask<IDisposable> TakeAsync(string name, CancellationToken cancellationToken)
    {
        Line? line;
        lock (_gate)
        {
            if (!_lines.TryGetValue(name, out line))
            {
                _lines[name] = line = new Line();
            }

            line.Members++;
        }

        try
        {
            await line.Turn.WaitAsync(cancellationToken);
        }
        catch
        {
            Leave(name, line);
            throw;
        }

        return new Turn(this, name, line);
    }

    private void Leave(string name, Line line)
    {
        lock (_gate)
        {
            if (--line.Members == 0)
            {
                _lines.Remove(name);
                line.Turn.Dispose();
            }
        }
    }

    /// <summary>Who has the turn for one name, and who waits for it.</summary>
    private sealed class Line
    {
        public SemaphoreSlim Turn { get; } = new(1, 1);

        /// <summary>The one that has the turn, and all that wait.</summary>
        public int Members { get; set; }
    }

    private sealed class Turn(Turns turns, string name, Line line) : IDisposable
    {
        public void Dispose()
        {
            line.Turn.Release();
            turns.Leave(name, line);
        }
    }
}

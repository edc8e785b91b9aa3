namespace Frusta.Controller.Entities;

/// <summary>Lets requests that write related documents go one after the other, first come first served.</summary>
/// <remarks>
/// The store refuses a unit whose documents have changed since they were read. Turns are needed for two more reasons: no writer of this process loses
/// again and again to others; and a fact that stands in no single document (that a package has no actions) stays true until the write is done.
/// </remarks>
internal sealed class Turns
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Line> _lines = new(StringComparer.Ordinal);

    /// <summary>Waits until all that came before have had their turn.</summary>
    /// <param name="name">The namespace whose rules or triggers are written, or the package that is written or whose actions are.</param>
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

    /// <summary>The request that has the turn for one name, and those that wait for it.</summary>
    private sealed class Line
    {
        public SemaphoreSlim Turn { get; } = new(1, 1);

        /// <summary>How many have the turn or wait for it.</summary>
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

using Microsoft.Extensions.Logging;

namespace Frusta.Testing;

/// <summary>Keeps the event ids and the exceptions of the lines that are logged to it.</summary>
public class TestLog : ILogger
{
    private readonly Lock _gate = new();
    private readonly List<(int Event, Exception? Exception)> _lines = [];

    public int Count()
    {
        lock (_gate)
        {
            return _lines.Count;
        }
    }

    public int Count(int eventId)
    {
        lock (_gate)
        {
            return _lines.Count(line => line.Event == eventId);
        }
    }

    public int CountExceptions()
    {
        lock (_gate)
        {
            return _lines.Count(static line => line.Exception is not null);
        }
    }

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (_gate)
        {
            _lines.Add((eventId.Id, exception));
        }
    }

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;
}

/// <inheritdoc/>
public sealed class TestLog<T> : TestLog, ILogger<T>;

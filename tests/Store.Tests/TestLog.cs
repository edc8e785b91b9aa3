using Microsoft.Extensions.Logging;

namespace Frusta.Store.Tests;

/// <summary>Keeps what was logged.</summary>
internal sealed class TestLog<T> : ILogger<T>
{
    private readonly Lock _gate = new();
    private readonly List<(int Event, Exception? Exception)> _said = [];

    public int Count(int eventId)
    {
        lock (_gate)
        {
            return _said.Count(each => each.Event == eventId);
        }
    }

    public int CountExceptions()
    {
        lock (_gate)
        {
            return _said.Count(each => each.Exception is not null);
        }
    }

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (_gate)
        {
            _said.Add((eventId.Id, exception));
        }
    }

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;
}
